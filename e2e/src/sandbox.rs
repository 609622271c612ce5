//! A set of namespaces of our own: network, mounts and processes, so that nothing is added to the machine's network and
//! nothing is left behind.
//!
//! [`enter`] runs twice. The first time it starts this program again as the first process of new namespaces and waits
//! for it; the second time, inside, it runs what it was given. When the inner process ends, however it ends, the kernel
//! ends every process of the sandbox, and with them go its networks and mounts. When the outer process ends, the inner
//! one is told to.

#![expect(
    unsafe_code,
    reason = "handlers of signals, and what runs between fork and exec"
)]

pub(crate) mod cgroup;

use anyhow::{Context, Result, bail};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::{Pid, setsid},
};
use std::{
    ffi::OsStr,
    fs,
    os::{
        fd::{AsRawFd, BorrowedFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
};

/// Set for the inner process: the folder of this sandbox.
pub(crate) const INSIDE: &str = "MESH_SANDBOX";
/// Set for the inner process: its descriptor of the machine's network namespace.
const OUTSIDE: &str = "MESH_SANDBOX_OUTSIDE";
/// Folders of sandboxes; in each, sockets that lead into it by the names of its pods.
pub(crate) const FOLDERS: &str = "/run/mesh";

/// Runs `inside` in namespaces of its own and returns its exit code.
///
/// # Errors
/// If we are not root, the kernel lacks a namespace, or `inside` fails.
pub(crate) fn enter(inside: impl FnOnce() -> Result<ExitCode>) -> Result<ExitCode> {
    if std::env::var_os(INSIDE).is_some() {
        end_at_once()?;
        // Ours alone: nothing that runs in the sandbox shall find a way out by it.
        fcntl(outside()?, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        isolate_mounts()?;
        return inside();
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("network namespaces need root\nhint: run `cargo xtask demo`, which asks for it");
    }
    sweep();
    let folder = Path::new(FOLDERS).join(std::process::id().to_string());
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // Before there is anything to end: who changes their mind at once finds nothing left, either.
    let code = hear().and_then(|()| start(&folder)).and_then(wait);
    remove(&folder);
    let _ = fs::remove_dir(FOLDERS);
    code
}

/// Folder of the sandbox that we are in.
pub(crate) fn folder() -> Result<PathBuf> {
    std::env::var_os(INSIDE)
        .map(PathBuf::from)
        .context("not inside a sandbox")
}

/// The machine's network namespace.
pub(crate) fn outside() -> Result<BorrowedFd<'static>> {
    let number = std::env::var(OUTSIDE).ok();
    let number = number.and_then(|text| text.parse::<RawFd>().ok());
    let number = number.context("not inside a sandbox")?;
    // SAFETY: the outer process opened it for us, and nothing closes it.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

fn start(folder: &Path) -> Result<Child> {
    let network = fs::File::open("/proc/self/ns/net").context("our network namespace")?;
    fcntl(&network, FcntlArg::F_SETFD(FdFlag::empty()))?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(|error| forbidden("a new PID namespace", &error))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .args(std::env::args_os().skip(1))
        .env(INSIDE, folder)
        .env(OUTSIDE, network.as_raw_fd().to_string());
    // SAFETY: between fork and exec only system calls are made, on no memory of ours.
    unsafe {
        command.pre_exec(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
            // Ctrl-C reaches the outer process alone, which passes it on.
            setsid()?;
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        });
    }
    let started = command.spawn();
    started.map_err(|error| forbidden("namespaces for network and mounts", &error))
}

fn forbidden(what: &str, error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{what}: {error}\nhint: the kernel or the container forbids it to this root")
}

/// Process to which signals are passed on; 0: there is none yet.
static INNER: AtomicI32 = AtomicI32::new(0);
/// Signals that came.
static SIGNALS: AtomicI32 = AtomicI32::new(0);

fn hear() -> Result<()> {
    let action = nix::sys::signal::SigAction::new(
        nix::sys::signal::SigHandler::Handler(pass_on),
        nix::sys::signal::SaFlags::SA_RESTART,
        nix::sys::signal::SigSet::empty(),
    );
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only loads an atomic and sends a signal, both of which a handler may.
        unsafe { nix::sys::signal::sigaction(signal, &action) }?;
    }
    Ok(())
}

fn wait(mut inner: Child) -> Result<ExitCode> {
    INNER.store(inner.id() as i32, Ordering::Relaxed);
    if SIGNALS.load(Ordering::Relaxed) > 0 {
        // It was asked to end before it could hear.
        inner.kill()?;
    }
    let status = inner.wait()?;
    Ok(status
        .code()
        .map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)))
}

/// Whether what runs inside ends by itself when it is told to.
static ENDS_BY_ITSELF: AtomicBool = AtomicBool::new(false);

/// From now on who runs inside hears that it is to end, and does.
pub(crate) fn ends_by_itself() {
    ENDS_BY_ITSELF.store(true, Ordering::Relaxed);
}

// The kernel keeps from the first process of a namespace the signals that it does not handle.
fn end_at_once() -> Result<()> {
    let action = nix::sys::signal::SigAction::new(
        nix::sys::signal::SigHandler::Handler(exit_if_asked),
        nix::sys::signal::SaFlags::SA_RESTART,
        nix::sys::signal::SigSet::empty(),
    );
    // SAFETY: the handler only loads an atomic and ends the process, both of which a handler may.
    unsafe { nix::sys::signal::sigaction(Signal::SIGTERM, &action) }?;
    Ok(())
}

extern "C" fn exit_if_asked(_: i32) {
    if !ENDS_BY_ITSELF.load(Ordering::Relaxed) {
        // SAFETY: it runs nothing of ours.
        unsafe { nix::libc::_exit(128 + Signal::SIGINT as i32) }
    }
}

/// The first signal asks, the second ends it.
extern "C" fn pass_on(_: i32) {
    let first = SIGNALS.fetch_add(1, Ordering::Relaxed) == 0;
    let signal = if first {
        Signal::SIGTERM
    } else {
        Signal::SIGKILL
    };
    let inner = INNER.load(Ordering::Relaxed);
    if inner > 0 {
        let _ = kill(Pid::from_raw(inner), signal);
    }
}

fn isolate_mounts() -> Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("private mounts")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none)
        .context("/proc of the new PID namespace")
}

/// Removes folders of sandboxes whose process is gone.
fn sweep() {
    for entry in fs::read_dir(FOLDERS).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if kill(Pid::from_raw(pid), None).is_err() {
            remove(&entry.path());
        }
    }
}

/// Removes what a sandbox has left.
fn remove(folder: &Path) {
    if let Some(number) = folder.file_name().and_then(OsStr::to_str) {
        cgroup::remove(number);
    }
    let _ = fs::remove_dir_all(folder);
}
