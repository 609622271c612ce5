//! The machine's folders, seen so that writing to them leaves nothing.
//!
//! Kubelet, containerd and the CNI plugins write to fixed places. In our mount namespace each of them is an overlay: the
//! machine's files are seen, what is written stays in memory and goes with the namespace.

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use std::{
    fs,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

/// Where the parts write.
const WRITTEN: [&str; 5] = ["/etc", "/opt", "/usr/libexec", "/var/lib", "/var/log"];

/// Covers what is written to; `folder`, the sandbox's, stays what it is. Returns a folder in memory for all state.
///
/// # Errors
/// If the kernel lacks overlays or tmpfs, or refuses them here.
pub(crate) fn isolate(folder: &Path) -> Result<PathBuf> {
    // Held open, because it disappears under the new /run.
    let held = fs::File::open(folder).with_context(|| folder.display().to_string())?;
    memory(Path::new("/run"))?;
    fs::create_dir_all(folder)?;
    let source = format!("/proc/self/fd/{}", held.as_raw_fd());
    bind(Path::new(&source), folder)?;
    let state = folder.join("node");
    fs::create_dir(&state)?;
    memory(&state)?;
    for (number, path) in WRITTEN.iter().map(Path::new).enumerate() {
        if path.is_dir() {
            overlay(path, &state.join(format!("written/{number}")))?;
        }
    }
    // What is mounted in a pod has to be seen by the runtime, whose namespace this is, too.
    for path in [&state, Path::new("/var/lib"), Path::new("/run")] {
        share(path)?;
    }
    Ok(state)
}

fn memory(at: &Path) -> Result<()> {
    let flags = MsFlags::MS_NODEV;
    mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some("mode=755"))
        .with_context(|| format!("tmpfs on {}", at.display()))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("binding {}", to.display()))
}

fn share(path: &Path) -> Result<()> {
    let (none, flags) = (None::<&str>, MsFlags::MS_SHARED);
    mount(none, path, none, flags, none).with_context(|| format!("sharing {}", path.display()))
}

fn overlay(path: &Path, written: &Path) -> Result<()> {
    let (upper, work) = (written.join("upper"), written.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        path.display(),
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        path,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .with_context(|| {
        format!(
            "an overlay on {}\nhint: the kernel or the container forbids it",
            path.display()
        )
    })
}
