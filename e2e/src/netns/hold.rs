//! The process that holds a pod's namespaces, and the files that a kubelet would mount into them.

use anyhow::{Context, Result};
use nix::{
    mount::{MsFlags, mount},
    unistd::{Gid, Uid, chown},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Where programs are found inside a pod.
pub(crate) const PROGRAMS: &str = "/run/mesh/bin";

/// Arguments of the holder.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What is mounted, as JSON.
    #[arg(long)]
    mounts: String,
}

/// What a pod sees that the machine does not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Mounts {
    /// Folder that appears as [`PROGRAMS`].
    pub(crate) programs: PathBuf,
    /// Folder that stays where it is.
    pub(crate) shared: PathBuf,
    /// Text of `/etc/hosts`.
    pub(crate) hosts: String,
    /// Text of `/etc/resolv.conf`.
    pub(crate) resolv_conf: String,
    /// Further files, all under `/run`.
    pub(crate) files: Vec<File>,
    /// Folders that the proxy may write to, all under `/run`.
    pub(crate) folders: Vec<PathBuf>,
}

/// A file in a pod.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct File {
    /// Where.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) text: String,
    /// Who may read it.
    pub(crate) mode: u32,
}

/// Mounts, says so with one line, and waits to be killed.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let mounts: Mounts = serde_json::from_str(&options.mounts).context("--mounts")?;
    lay_out(&mounts)?;
    println!("ready");
    loop {
        nix::unistd::pause();
    }
}

fn lay_out(mounts: &Mounts) -> Result<()> {
    let none = None::<&str>;
    // Held open, because the folders themselves disappear under the new /run.
    let open = |path: &Path| fs::File::open(path).with_context(|| path.display().to_string());
    let held = [
        (open(&mounts.programs)?, Path::new(PROGRAMS)),
        (open(&mounts.shared)?, &mounts.shared),
    ];
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        Some("mode=755"),
    )
    .context("tmpfs on /run")?;
    for (folder, seen) in held {
        fs::create_dir_all(seen)?;
        let source = format!("/proc/self/fd/{}", folder.as_raw_fd());
        mount(Some(source.as_str()), seen, none, MsFlags::MS_BIND, none)
            .with_context(|| seen.display().to_string())?;
    }
    for folder in &mounts.folders {
        fs::create_dir_all(folder)?;
        give_to_proxy(folder)?;
    }
    for File { path, text, mode } in &mounts.files {
        fs::create_dir_all(path.parent().context("a file needs a folder")?)?;
        fs::write(path, text).with_context(|| path.display().to_string())?;
        fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
        give_to_proxy(path)?;
    }
    for (name, text) in [
        ("hosts", &mounts.hosts),
        ("resolv.conf", &mounts.resolv_conf),
    ] {
        let (ours, seen) = (
            Path::new("/run/mesh").join(name),
            Path::new("/etc").join(name),
        );
        fs::write(&ours, text)?;
        if !seen.exists() {
            continue;
        }
        mount(Some(&ours), &seen, none, MsFlags::MS_BIND, none)
            .with_context(|| seen.display().to_string())?;
    }
    Ok(())
}

fn give_to_proxy(path: &Path) -> Result<()> {
    let (user, group) = (mesh_model::port::PROXY_UID, mesh_model::port::PROXY_GID);
    chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))
        .with_context(|| path.display().to_string())
}
