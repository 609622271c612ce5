//! Licences, origins and versions of what the mesh is built from: cargo-deny, with `deny.toml`.
//!
//! No built cargo-deny can be had from the registry, so it is built once, without what it needs to fetch databases by
//! itself, and kept in a cache folder.

use crate::{
    cache::hold,
    chore::{Outcome, cargo_command, root, run},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// Version of the crate `cargo-deny`.
const VERSION: &str = "0.20.2";

/// Checks that need nothing but the lockfile and the crates. An exception that nothing needs is an error.
const CHECKS: &[&str] = &[
    "--locked",
    "check",
    "--hide-inclusion-graph",
    "-D",
    "unmatched-skip",
    "-D",
    "unnecessary-skip",
    "licenses",
    "bans",
    "sources",
];

/// Checks all that can be checked here, and says what was not.
pub(crate) fn deny(arguments: &[String]) -> Outcome {
    let fetch = match arguments {
        [] => false,
        [one] if one == "--fetch" => true,
        [one] if one == "--build" => return provide().map(drop),
        _ => {
            return Err("deny takes --fetch or --build alone\nhint: cargo xtask help".into());
        }
    };
    let program = provide()?;
    run(deny_command(&program).args(CHECKS))?;
    if fetch {
        run(deny_command(&program).args(["fetch", "db"]))
            .map_err(|error| format!("{error}\nhint: advisories come from github.com"))?;
    }
    let databases = databases()?;
    if !has_copy(&databases) {
        println!(
            "skipped  advisories: no copy of RustSec's database in {}\n\
             hint: `cargo xtask deny --fetch` fetches one from github.com",
            databases.display()
        );
        return Ok(());
    }
    run(deny_command(&program).args(["--locked", "--offline", "check", "advisories"]))
}

fn deny_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Where cargo-deny keeps its databases.
fn databases() -> Result<PathBuf, String> {
    let of_cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let of_cargo =
        of_cargo.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let of_cargo = of_cargo.ok_or("neither CARGO_HOME nor HOME is set")?;
    Ok(of_cargo.join("advisory-dbs"))
}

/// Whether a database was ever fetched; whether it is too old is said by cargo-deny.
fn has_copy(databases: &Path) -> bool {
    let mut entries = fs::read_dir(databases).into_iter().flatten().flatten();
    entries.any(|entry| entry.path().join(".git").exists())
}

/// The program; builds it if it is not there yet.
fn provide() -> Result<PathBuf, String> {
    let (cache, _held) = hold(&format!("cargo-deny-{VERSION}"))?;
    let program = cache.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    println!(
        "building cargo-deny {VERSION} into {} (once, about two minutes of one core)",
        cache.display()
    );
    let start = Instant::now();
    let target = cache.join("target");
    let built = run(cargo_command()
        .args(["install", "cargo-deny", "--version", VERSION, "--locked"])
        .args(["--quiet", "--debug", "--no-default-features"])
        .arg("--root")
        .arg(&cache)
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0"));
    // Hundreds of megabytes that nobody needs again; that they stay would be no failure.
    let _ = fs::remove_dir_all(&target);
    built?;
    println!("built in {} s", start.elapsed().as_secs());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_is_no_database() {
        let folder = std::env::temp_dir().join(format!("mesh-deny-{}", std::process::id()));
        let database = folder.join("advisory-db-1");
        fs::create_dir_all(&database).expect("created");
        assert!(!has_copy(&folder) && !has_copy(&folder.join("none")));
        fs::create_dir(database.join(".git")).expect("created");
        assert!(has_copy(&folder));
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn no_argument_is_passed_over() {
        let error = deny(&["--ofline".into()]).expect_err("refused");
        assert!(error.contains("hint: "), "{error}");
    }
}
