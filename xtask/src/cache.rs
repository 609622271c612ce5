//! The folder for what is fetched or built once: outside the repository, and of any clone.

use std::path::PathBuf;

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
