//! The mesh's image, as an archive that any container engine loads; no engine is needed to write it.

use crate::{
    chore::{Outcome, Profile, build, run},
    demo::PROGRAMS,
    system::{self, IMAGES},
};
use std::process::Command;

/// Packs it: optimized programs, or with `--dev` those of the tests.
pub(crate) fn image(arguments: &[String]) -> Outcome {
    system::provide(&IMAGES[..1])?;
    let (dev, rest): (Vec<_>, Vec<_>) = arguments.iter().partition(|word| *word == "--dev");
    let profile = if dev.is_empty() {
        Profile::Release
    } else {
        Profile::Dev
    };
    let programs = build(PROGRAMS, profile)?;
    let mut packer = Command::new(programs.join("mesh-e2e"));
    run(packer
        .arg("image")
        .arg("--programs")
        .arg(&programs)
        .args(rest))
}
