//! Where code may be `unsafe`: in files that are named here, each small and looked at with care.
//!
//! The rung `clippy` of `.ci/run` refuses it everywhere else; here is seen to it that the rung does, that no crate leaves
//! out the workspace's lints, and that no other file excepts itself.

use crate::chore::root;
use std::{fs, path::Path};

/// What the programs of the mesh are made of, then what only tests are.
const AUDITED: &[&str] = &[
    "crates/mesh-proxy/src/memory.rs", // one call of the allocator
    "crates/mesh-xds/tests/descriptor_memory.rs", // an allocator that counts
    "e2e/src/netns/container.rs",      // between fork and exec
    "e2e/src/netns/launcher.rs",
    "e2e/src/netns/pod.rs",
    "e2e/src/play/wire.rs", // what a packet socket lost
    "e2e/src/sandbox.rs",   // also handlers of signals
];

/// What makes the compiler refuse.
const LINT: &str = concat!("-D unsafe", "_code");
/// Name of the lint, which is in the attribute by which a file excepts itself.
const EXCEPTION: &str = concat!("unsafe", "_code");

/// Checks that unsafe code is refused, and that no file is named for nothing.
pub(super) fn check_workspace(errors: &mut Vec<String>) {
    let rungs = fs::read_to_string(root().join(".ci/run")).unwrap_or_default();
    let clippy = rungs.lines().find(|line| line.starts_with("rung clippy "));
    if !clippy.is_some_and(|rung| rung.ends_with(LINT)) {
        errors.push(format!(".ci/run: the rung clippy lacks `{LINT}`"));
    }
    for file in AUDITED {
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        if !text.contains(EXCEPTION) {
            errors.push(format!(
                "{file}: has no unsafe code: take it off the list in xtask/src/tidy/audited.rs"
            ));
        }
    }
}

/// A crate must take the workspace's lints.
pub(super) fn check_manifest(shown: &Path, text: &str, errors: &mut Vec<String>) {
    if !text.contains("\n[lints]\nworkspace = true\n") {
        errors.push(format!(
            "{}: lacks `[lints]` with `workspace = true`",
            shown.display()
        ));
    }
}

/// No file may except itself but those of the list.
pub(super) fn check_source(shown: &Path, text: &str, errors: &mut Vec<String>) {
    if text.contains(EXCEPTION) && !AUDITED.iter().any(|file| Path::new(file) == shown) {
        errors.push(format!(
            "{}: excepts itself from the lint of unsafe code: use a safe crate, or name the file in \
             xtask/src/tidy/audited.rs and say there what for",
            shown.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_63_only_audited_files_except_themselves() {
        let text = format!("#![expect({EXCEPTION}, reason = \"fast\")]\n");
        for (file, expected) in [("crates/x/src/a.rs", 1), (AUDITED[0], 0)] {
            let mut errors = Vec::new();
            check_source(Path::new(file), &text, &mut errors);
            check_source(Path::new(file), "fn safe() {}", &mut errors);
            assert_eq!(errors.len(), expected, "{errors:?}");
        }
    }

    #[test]
    fn sec_63_a_crate_without_the_lints_is_named() {
        let manifest = Path::new("crates/x/Cargo.toml");
        let with = "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n";
        for (text, expected) in [(with, 0), ("[package]\nname = \"x\"\n", 1)] {
            let mut errors = Vec::new();
            check_manifest(manifest, text, &mut errors);
            assert_eq!(errors.len(), expected, "{errors:?}");
        }
    }
}
