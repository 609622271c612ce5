//! Running commands and saying how they went.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// How a chore went; the error says what to do.
pub(crate) type Outcome = Result<(), String>;

/// Root of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The cargo that runs us, in the root of the workspace.
pub(crate) fn cargo_command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs cargo with `arguments`, then `more`.
pub(crate) fn cargo(arguments: &[&str], more: &[String]) -> Outcome {
    run(cargo_command().args(arguments).args(more))
}

/// Runs a command to its end, with our own input and output.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let text = format!("{command:?}");
    let status = command
        .status()
        .map_err(|error| format!("{text}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{text}: {status}"))
    }
}

/// How programs are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quickly.
    Dev,
    /// Optimized.
    Release,
}

/// Builds the programs of `packages` and returns the folder they are in.
pub(crate) fn build(packages: &[&str], profile: Profile) -> Result<PathBuf, String> {
    let (flags, folder, note): (&[&str], _, _) = match profile {
        Profile::Dev => (&[], "debug", "the first time takes some minutes"),
        Profile::Release => (
            &["--release"],
            "release",
            "optimized: the first time takes many minutes",
        ),
    };
    println!("building {} ({note})", packages.join(", "));
    let start = Instant::now();
    let mut command = cargo_command();
    command.arg("build").args(flags);
    if profile == Profile::Dev && std::env::var_os("CI").is_some() {
        // What the tests were built with: tests ask for features of tokio of their own, and to build all that stands on
        // it once more without them takes many minutes.
        command.args(["--workspace", "--all-targets"]);
    } else {
        for package in packages {
            command.args(["--package", package]);
        }
    }
    run(&mut command)?;
    println!("built in {} s", start.elapsed().as_secs());
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |d| root().join(d));
    Ok(target.join(folder))
}
