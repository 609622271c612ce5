//! The folder of generated files: what should be there, and whether it is.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Files by name, as they should stand in mesh-xds.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<String, Vec<u8>>);

impl Tree {
    pub(crate) fn add(&mut self, name: impl Into<String>, content: Vec<u8>) {
        self.0.insert(name.into(), content);
    }

    /// Writes every file that differs and removes what is no longer generated.
    pub(crate) fn write(&self) -> Result<()> {
        let dir = folder();
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        for name in self.stale()? {
            let path = dir.join(&name);
            match self.0.get(&name) {
                Some(content) => fs::write(&path, content),
                None => fs::remove_file(&path),
            }
            .with_context(|| format!("update {}", path.display()))?;
            println!("{name}: {} bytes", self.0.get(&name).map_or(0, Vec::len));
        }
        Ok(())
    }

    /// Compares with what is checked in.
    ///
    /// # Errors
    /// If a file is missing, differs, or is not generated any more.
    pub(crate) fn check(&self) -> Result<()> {
        match self.stale()?.as_slice() {
            [] => Ok(()),
            stale => bail!(
                "stale in {}: {}\nhint: run `cargo run -p mesh-codegen` and commit what it writes",
                folder().display(),
                stale.join(", ")
            ),
        }
    }

    /// Names of files that are missing, different, or too many.
    fn stale(&self) -> Result<Vec<String>> {
        let mut stale = present(&folder())?;
        stale.retain(|name| !self.0.contains_key(name));
        for (name, content) in &self.0 {
            if read(&folder().join(name))?.as_ref() != Some(content) {
                stale.push(name.clone());
            }
        }
        Ok(stale)
    }
}

fn folder() -> PathBuf {
    Path::new(ROOT).join("crates/mesh-xds/src/generated")
}

fn present(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("list {}", dir.display())),
    };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("read {}", path.display())),
    }
}
