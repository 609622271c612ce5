//! The folder for what is fetched or built once: outside the repository, and of any clone.

use std::{
    fs::{self, File},
    path::PathBuf,
};

/// Folder for `name`.
///
/// # Errors
/// If the environment names no home.
pub(crate) fn cache(name: &str) -> Result<PathBuf, String> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let base = base.ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(base.join("mesh").join(name))
}

/// Holds back others who would fill the same folder, until it is dropped.
pub(crate) struct Held(#[expect(dead_code, reason = "held, not used")] File);

/// Folder for `name`, made if it is not there, held until the second is dropped. Waits for who holds it, saying so.
///
/// # Errors
/// If it can't be made or locked.
pub(crate) fn hold(name: &str) -> Result<(PathBuf, Held), String> {
    let folder = cache(name)?;
    let shown = |error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(shown)?;
    let file = File::create(cache(&format!("{name}.lock"))?).map_err(shown)?;
    if file.try_lock().is_err() {
        println!("waiting for who fills {}", folder.display());
        file.lock().map_err(shown)?;
    }
    Ok((folder, Held(file)))
}
