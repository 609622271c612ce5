//! The manifest of a default installation, as `meshctl manifest generate` prints it: checked in, so that a change of what is
//! installed is seen by who reads the change.

use crate::{
    chore::{Outcome, Profile, build, root},
    demo::PROGRAMS,
};
use std::{fs, process::Command};

const FILE: &str = "manifests/mesh.yaml";

/// Writes it, or with `--check` says whether it is stale.
pub(crate) fn manifests(arguments: &[String]) -> Outcome {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("cargo xtask manifests [--check]".into()),
    };
    // All programs, as the demo and the scenarios build them: by itself it would be built anew, with other features.
    let output = Command::new(build(PROGRAMS, Profile::Dev)?.join("meshctl"))
        .args(["manifest", "generate"])
        .output()
        .map_err(|error| format!("meshctl: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "meshctl manifest generate: {}\n{said}",
            output.status
        ));
    }
    let path = root().join(FILE);
    if !check {
        fs::write(&path, &output.stdout).map_err(|error| format!("{FILE}: {error}"))?;
        println!("manifests: wrote {FILE}");
        return Ok(());
    }
    let stands = fs::read(&path).map_err(|error| format!("{FILE}: {error}"))?;
    if stands != output.stdout {
        return Err(format!("{FILE} is stale\nhint: cargo xtask manifests"));
    }
    println!("manifests: {FILE} is up to date");
    Ok(())
}
