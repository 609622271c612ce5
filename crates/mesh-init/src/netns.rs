//! Works in another network namespace, as `--network-namespace` asks.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

/// Runs `work` in the network namespace at `path`, or where we are without one.
///
/// On a thread of its own, because entering a namespace cannot be taken back without more privileges; the programs that
/// `work` starts inherit the thread's namespace.
///
/// # Errors
/// If the namespace cannot be opened or entered; `work` is then not run.
pub(crate) fn within<T: Send>(
    path: Option<&Path>,
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    let Some(path) = path else { return Ok(work()) };
    let namespace = File::open(path)?;
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
