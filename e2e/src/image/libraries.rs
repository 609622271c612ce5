//! The shared libraries that a program loads when it starts, as the machine's own loader finds them.

use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Paths of the libraries and of the loader; none for a static program.
///
/// # Errors
/// If there is no such program, or a library that it names is missing.
pub(crate) fn of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        if complaint.contains("not a dynamic executable")
            || text.contains("not a dynamic executable")
        {
            return Ok(Vec::new());
        }
        bail!("ldd {}: {}", program.display(), complaint.trim());
    }
    listed(&text).with_context(|| program.display().to_string())
}

/// Reads what ldd prints: `name => /path (address)`, `/loader (address)`, or a name alone for what is in the kernel.
fn listed(text: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.contains("=> not found") {
            bail!("a library is missing: {line}");
        }
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        let path = path.split(" (").next().unwrap_or_default();
        if path.starts_with('/') {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ldd_prints() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x2)\n\t/lib64/ld-linux.so.2 (0x3)\n";
        let want = ["/lib/x/libc.so.6", "/lib64/ld-linux.so.2"].map(PathBuf::from);
        assert_eq!(listed(text).expect("complete"), want);
        assert!(listed("\tlibz.so.1 => not found\n").is_err());
        assert_eq!(
            listed("\tstatically linked\n").expect("static"),
            Vec::<PathBuf>::new()
        );
    }

    #[test]
    fn our_own() {
        let us = std::env::current_exe().expect("a path");
        let libraries = of(&us).expect("a program");
        assert!(
            libraries
                .iter()
                .any(|path| path.to_string_lossy().contains("libc.so"))
        );
    }
}
