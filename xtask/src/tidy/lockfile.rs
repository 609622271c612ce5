//! The lockfile: every crate that is not ours comes from crates.io, and its bytes are known.
//!
//! Whether it is in step with the manifests is asked first by .ci/run (`cargo metadata --locked`): cargo, which runs this
//! program, has brought it into step by now.

/// What the lockfile says of a crate from crates.io.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks the text of a lockfile; `ours` are the names of the workspace's crates.
pub(super) fn check(lockfile: &str, ours: &[String], errors: &mut Vec<String>) {
    let packages = lockfile.split("\n[[package]]\n").skip(1);
    let mut count = 0;
    for package in packages {
        count += 1;
        let of = |key: &str| {
            let mut lines = package.lines();
            lines.find_map(|line| {
                line.strip_prefix(key)?
                    .strip_prefix(" = \"")?
                    .strip_suffix('"')
            })
        };
        let name = of("name").unwrap_or("a crate without a name");
        match of("source") {
            None if ours.iter().any(|our| our == name) => {}
            None => errors.push(format!(
                "Cargo.lock: {name} comes from a folder of the machine"
            )),
            Some(CRATES_IO) if of("checksum").is_some_and(|sum| sum.len() == 64) => {}
            Some(CRATES_IO) => errors.push(format!("Cargo.lock: {name} has no checksum")),
            Some(other) => errors.push(format!("Cargo.lock: {name} comes from {other}")),
        }
    }
    if count == 0 {
        errors.push("Cargo.lock: names no crate".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(packages: &str) -> Vec<String> {
        let mut errors = Vec::new();
        check(
            &format!("version = 4\n{packages}"),
            &["mesh-x".into()],
            &mut errors,
        );
        errors
    }

    #[test]
    fn sec_63_crates_come_from_crates_io_and_have_a_checksum() {
        let ours = "\n[[package]]\nname = \"mesh-x\"\nversion = \"0.1.0\"\n";
        let sum = "0".repeat(64);
        let theirs =
            format!("\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{CRATES_IO}\"\n");
        let known = format!("{theirs}checksum = \"{sum}\"\n");
        assert_eq!(errors(&format!("{ours}{known}")), [""; 0]);
        let from_git = known.replace("registry+", "git+");
        for (packages, part) in [
            ("", "no crate"),
            (theirs.as_str(), "a has no checksum"),
            (&from_git, "a comes from git+"),
            (&ours.replace("mesh-x", "b"), "b comes from a folder"),
        ] {
            let errors = errors(packages);
            assert!(
                errors.len() == 1 && errors[0].contains(part),
                "{packages}: {errors:?}"
            );
        }
    }
}
