//! Reaps what the runtime leaves to the first process of the sandbox, which is us.

use anyhow::Result;
use nix::{
    sys::wait::{WaitPidFlag, waitpid},
    unistd::Pid,
};
use std::{fs, thread, time::Duration};

/// How a shim is called, as far as the kernel keeps names. Shims outlive whoever starts them; our own children are never
/// called so, and are waited for by who started them.
const SHIM: &str = "containerd-shim";
/// How often we look.
const INTERVAL: Duration = Duration::from_secs(1);

/// Reaps them for as long as we live.
pub(crate) fn reap() -> Result<()> {
    thread::Builder::new().name("orphans".into()).spawn(|| {
        loop {
            thread::sleep(INTERVAL);
            for pid in dead(std::process::id()) {
                let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
            }
        }
    })?;
    Ok(())
}

/// Shims that have ended as children of `parent`.
fn dead(parent: u32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            is_dead_shim(&stat, parent).then_some(pid)
        })
        .collect()
}

/// Reads a line of `/proc/<pid>/stat`: number, name in parentheses, state, parent.
fn is_dead_shim(stat: &str, parent: u32) -> bool {
    let named = stat
        .split_once('(')
        .and_then(|(_, rest)| rest.rsplit_once(") "));
    let Some((name, rest)) = named else {
        return false;
    };
    let mut rest = rest.split(' ');
    let (state, ppid) = (rest.next(), rest.next());
    name.starts_with(SHIM) && state == Some("Z") && ppid == Some(parent.to_string().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dead_shims_of_ours() {
        assert!(is_dead_shim("7 (containerd-shim) Z 1 7 7 0", 1));
        assert!(!is_dead_shim("7 (containerd-shim) S 1 7 7 0", 1));
        assert!(!is_dead_shim("7 (containerd-shim) Z 12 7 7 0", 1));
        assert!(!is_dead_shim("7 (kubelet) Z 1 7 7 0", 1));
        assert!(!is_dead_shim("", 1));
    }
}
