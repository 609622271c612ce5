//! A network namespace for one test, with a mount namespace so that `/run` and `/etc/resolv.conf` are the test's own.
//!
//! Both belong to a thread and end with it, however the test ends: nothing to clean up, nothing to leave behind. They
//! take root; a test that uses them is marked `#[ignore = "netns: needs root and iptables"]`, and
//! `cargo xtask test` runs it where it can.

#![allow(dead_code, reason = "each test program uses its part")]

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use std::io::Write;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

/// The two kernel interfaces, by the infix of their programs.
pub(crate) const VARIANTS: [&str; 2] = ["nft", "legacy"];

/// The arguments of the injected init container.
pub(crate) const ARTICLE: &[&str] = &include!("../article/arguments.in");

/// The namespace that the current thread is in.
pub(crate) struct Pod(());

/// Runs `test` in a namespace of its own, with `lo` up.
pub(crate) fn in_pod<T: Send>(test: impl FnOnce(&Pod) -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let pod = Pod::enter();
            test(&pod)
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Runs `test` once for each kernel interface, each time in a new namespace.
pub(crate) fn with_each_variant(test: impl Fn(&Pod, &str) + Sync) {
    for variant in VARIANTS {
        in_pod(|pod| test(pod, variant));
    }
}

impl Pod {
    fn enter() -> Self {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root may unshare");
        let nothing = None::<&str>;
        mount(
            nothing,
            "/",
            nothing,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            nothing,
        )
        .expect("private mounts");
        mount(nothing, "/run", Some("tmpfs"), MsFlags::empty(), nothing)
            .expect("a /run of its own");
        let pod = Pod(());
        pod.sh("ip link set lo up");
        pod
    }

    /// A number by which `ip … netns` finds this namespace.
    pub(crate) fn id(&self) -> i32 {
        gettid().as_raw()
    }

    /// The namespace's file, for `--network-namespace`.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/task/{}/ns/net", std::process::id(), self.id())
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn sh(&self, command: &str) -> String {
        let output = Command::new("sh")
            .args(["-c", command])
            .output()
            .expect("sh runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Gives the pod an interface with these addresses, led by the first.
    pub(crate) fn interface(&self, addresses: &[&str]) {
        self.sh("ip link add eth0 type veth peer name peer0 && ip link set eth0 up && ip link set peer0 up");
        for address in addresses {
            let options = if address.contains(':') { "nodad" } else { "" };
            self.sh(&format!("ip address add {address} dev eth0 {options}"));
        }
    }

    /// Has these name servers in the pod's `/etc/resolv.conf`.
    pub(crate) fn nameservers(&self, servers: &[&str]) {
        let text: String = servers
            .iter()
            .map(|server| format!("nameserver {server}\n"))
            .collect();
        std::fs::write("/run/resolv.conf", text).expect("/run is writable");
        let nothing = None::<&str>;
        mount(
            Some("/run/resolv.conf"),
            "/etc/resolv.conf",
            nothing,
            MsFlags::MS_BIND,
            nothing,
        )
        .expect("bind");
    }

    /// Hands a text to an iptables-restore.
    pub(crate) fn restore(&self, program: &str, text: &str) {
        let mut child = Command::new(program)
            .arg("--noflush")
            .stdin(Stdio::piped())
            .spawn()
            .expect("iptables is installed");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(text.as_bytes())
            .expect("written");
        assert!(
            child.wait().expect("ends").success(),
            "{program} took:\n{text}"
        );
    }

    /// What a program like `iptables-nft-save` prints, without the chains' counters and the comments, which hold the time.
    pub(crate) fn rules(&self, program: &str) -> String {
        let printed = self.sh(program);
        let lines = printed.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| match line.split_once(" [") {
            Some((chain, _)) if line.starts_with(':') => chain,
            _ => line,
        });
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// All rules of either family and either interface, without counters: IPv6 sends packets of its own accord.
    pub(crate) fn everything(&self) -> String {
        let programs = [
            "iptables-nft-save",
            "iptables-legacy-save",
            "ip6tables-nft-save",
            "ip6tables-legacy-save",
        ];
        programs.map(|program| self.rules(program)).concat()
    }

    /// mesh-init with these arguments, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        command(Path::new(env!("CARGO_BIN_EXE_mesh-init")), args)
    }

    /// Runs mesh-init to its end.
    pub(crate) fn mesh_init(&self, args: &[&str]) -> Verdict {
        Verdict::of(self.command(args).output().expect("mesh-init runs"))
    }

    /// Runs mesh-init, which must succeed, and returns what it reported.
    pub(crate) fn apply(&self, args: &[&str]) -> String {
        let verdict = self.mesh_init(args);
        assert_eq!(
            verdict.code,
            Some(0),
            "mesh-init {args:?}:\n{}",
            verdict.said
        );
        verdict.said
    }

    /// Starts mesh-init.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("mesh-init runs")
    }
}

/// A command line as a list.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// The program at `path` with these arguments, and with nothing of the test run's environment but PATH.
pub(crate) fn command(path: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.arg("istio-iptables").args(args);
    command
}

/// How a run ended.
pub(crate) struct Verdict {
    /// The exit code.
    pub(crate) code: Option<i32>,
    /// What it reported on stderr.
    pub(crate) said: String,
    /// What it printed on stdout.
    pub(crate) printed: String,
}

impl Verdict {
    /// Reads it from a program's output.
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
        }
    }

    /// Asserts a failure whose report has all of these words.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "no `{word}` in:\n{}", self.said);
        }
    }
}
