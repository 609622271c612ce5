//! Control groups of a sandbox: the one thing that no namespace of ours holds, so that they are removed by name.
//!
//! In each hierarchy (one for each controller in version 1, one for all in version 2) a sandbox has the group
//! `/mesh/<its number>`, and makes its own below.

use anyhow::{Context, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

const MOUNTED: &str = "/sys/fs/cgroup";
/// Group of all sandboxes.
const OURS: &str = "mesh";
/// How often removing is tried: a group is busy until the kernel has let go of its last process.
const ATTEMPTS: u32 = 50;

/// Makes the groups of the sandbox that we are in; returns their path.
pub(crate) fn make() -> Result<String> {
    let folder = super::folder()?;
    let number = folder.file_name().context("a sandbox has a number")?;
    for hierarchy in hierarchies() {
        let mut group = hierarchy;
        for name in [OURS.as_ref(), number] {
            let parent = group.clone();
            group.push(name);
            fs::create_dir_all(&group).with_context(|| group.display().to_string())?;
            inherit(&parent, &group);
        }
    }
    Ok(format!("/{OURS}/{}", number.to_string_lossy()))
}

/// Removes the groups of sandbox `number`, in which no process is left.
pub(super) fn remove(number: &str) {
    for hierarchy in hierarchies() {
        let ours = hierarchy.join(OURS);
        let group = ours.join(number);
        for _ in 0..ATTEMPTS {
            if !group.is_dir() || remove_tree(&group).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = fs::remove_dir(ours);
    }
}

fn hierarchies() -> Vec<PathBuf> {
    let mounted = Path::new(MOUNTED);
    if mounted.join("cgroup.controllers").is_file() {
        return vec![mounted.to_owned()];
    }
    let listed = fs::read_dir(mounted).into_iter().flatten().flatten();
    listed
        // Not the links by which a hierarchy of two controllers has two names.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// A set of cores and of memory nodes is empty at first in version 1, and no process may enter the group before it is set.
fn inherit(parent: &Path, group: &Path) {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(text) = fs::read_to_string(parent.join(name)) {
            let _ = fs::write(group.join(name), text);
        }
    }
}

/// Groups have no files that could be removed: only folders, the innermost first.
fn remove_tree(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}
