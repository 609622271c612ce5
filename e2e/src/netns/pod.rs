//! One pod: its namespaces, its containers, and what a kubelet does with them.

#![expect(unsafe_code, reason = "what runs between fork and exec")]

use super::{
    bridge,
    container::{self, Process, Specification, User},
    hold::Mounts,
};
use anyhow::{Context, Result, bail};
use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::Signal,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Name of the sidecar's container.
pub(crate) const SIDECAR: &str = "istio-proxy";

/// A pod.
pub(crate) struct Pod {
    /// The object, injected.
    pub(crate) object: Value,
    /// Its address.
    pub(crate) address: Ipv4Addr,
    logs: PathBuf,
    // Dropped first: containers end before the namespaces they are in.
    containers: Vec<Process>,
    holder: Holder,
}

/// The process that holds the namespaces.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pod {
    /// Makes the pod's namespaces and its network; nothing runs in it yet.
    pub(crate) fn new(
        mut object: Value,
        address: Ipv4Addr,
        mounts: &Mounts,
        logs: &Path,
    ) -> Result<Self> {
        object["status"] = serde_json::json!({
            "phase": "Running",
            "podIP": address.to_string(),
            "podIPs": [{"ip": address.to_string()}],
            "hostIP": bridge::GATEWAY.to_string(),
            "conditions": [{"type": "Ready", "status": "False"}],
        });
        let holder = Holder(hold(mounts)?);
        bridge::connect(holder.0.id(), address)?;
        let mut pod = Self {
            object,
            address,
            logs: PathBuf::new(),
            containers: Vec::new(),
            holder,
        };
        pod.logs = logs.join(pod.full_name());
        fs::create_dir_all(&pod.logs)?;
        Ok(pod)
    }

    /// `<name>.<namespace>`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.name(), self.namespace())
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
    }

    /// Process that holds its namespaces.
    pub(crate) fn pid(&self) -> u32 {
        self.holder.0.id()
    }

    /// Runs the init containers, as injected.
    pub(crate) fn run_init_containers(&mut self) -> Result<()> {
        self.containers_of("initContainers")
            .iter()
            .try_for_each(|container| self.run_init(container))
    }

    /// Starts the sidecar, as injected.
    pub(crate) fn start_sidecar(&mut self) -> Result<()> {
        let mut command = self.sidecar_command()?;
        self.start(SIDECAR, &mut command, User::PROXY)
    }

    /// The command that the injected sidecar is.
    pub(crate) fn sidecar_command(&self) -> Result<Command> {
        let (arguments, environment) = self.sidecar()?;
        let mut command = Command::new(container::program("mesh-proxy"));
        command.args(arguments).env_clear().envs(environment);
        Ok(command)
    }

    /// Arguments and environment of the injected sidecar.
    pub(crate) fn sidecar(&self) -> Result<(Vec<String>, BTreeMap<String, String>)> {
        let containers = self.containers_of("containers");
        let container = containers
            .iter()
            .find(|c| c["name"] == SIDECAR)
            .context("no sidecar was injected")?;
        let Specification {
            arguments,
            mut environment,
        } = Specification::new(container, &self.object)?;
        environment.insert("POD_INFO_DIR".into(), "/run/mesh/podinfo".into());
        Ok((arguments, environment))
    }

    fn containers_of(&self, field: &str) -> Vec<Value> {
        self.object["spec"][field]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    fn run_init(&mut self, container: &Value) -> Result<()> {
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        let specification = Specification::new(container, &self.object)?;
        let mut command = Command::new(container::program("mesh-init"));
        command
            .args(&specification.arguments)
            .envs(&specification.environment);
        let output = self.output(&mut command, User::ROOT)?;
        fs::write(
            self.log(&name),
            [&output.stdout[..], &output.stderr].concat(),
        )?;
        if !output.status.success() {
            bail!(
                "{name} of {}: {}",
                self.full_name(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    /// Starts a container's process; its output goes to its log.
    pub(crate) fn start(&mut self, name: &str, command: &mut Command, user: User) -> Result<()> {
        let path = self.log(name);
        let log = File::options().create(true).append(true).open(&path)?;
        // A process may open its output again by name, as /dev/stdout.
        chown(&path, Some(user.0), Some(user.0))?;
        command.stdout(log.try_clone()?).stderr(log);
        container::enter(command, self.pid(), user)?;
        self.containers
            .push(Process::spawn(name.to_owned(), command)?);
        Ok(())
    }

    /// Runs a command in the pod to its end.
    pub(crate) fn output(&self, command: &mut Command, user: User) -> Result<Output> {
        container::enter(command, self.pid(), user)?;
        command
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{command:?}"))
    }

    /// Path of a container's log.
    pub(crate) fn log(&self, container: &str) -> PathBuf {
        self.logs.join(format!("{container}.log"))
    }

    /// How long a kubelet waits before it tells an application's container to end: `preStop`, as injected.
    pub(crate) fn pause(&self, container: &str) -> Option<Duration> {
        let containers = self.containers_of("containers");
        let container = containers.iter().find(|c| c["name"] == container)?;
        let seconds = &container["lifecycle"]["preStop"]["sleep"]["seconds"];
        seconds.as_u64().map(Duration::from_secs)
    }

    /// Sends SIGTERM to a container.
    pub(crate) fn tell_to_end(&self, container: &str) {
        if let Some(process) = self.containers.iter().find(|p| p.name == container) {
            process.signal(Signal::SIGTERM);
        }
    }

    /// Waits until a container has ended, at most `patience`, then kills it and forgets it. Whether it ended by itself;
    /// `None` if it is not there.
    pub(crate) fn wait_for_end(&mut self, container: &str, patience: Duration) -> Option<bool> {
        let place = self.containers.iter().position(|p| p.name == container)?;
        Some(self.containers.remove(place).wait(patience))
    }

    /// Process of a running container, by its number in the sandbox.
    pub(crate) fn process(&self, container: &str) -> Option<u32> {
        self.containers
            .iter()
            .find(|process| process.name == container)
            .map(Process::pid)
    }

    /// Waits until `ready` says so; if it does not in time, or a container ends, the logs' last lines are in the error.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        patience: Duration,
        ready: impl Fn(&Self) -> Result<(), String>,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let Err(why) = ready(self) else { return Ok(()) };
            let ended = self.containers.iter_mut().find_map(|c| {
                c.ended()
                    .map(|status| format!("{} has ended: {status}", c.name))
            });
            if let Some(ended) = ended {
                bail!("{}: {ended}\n{}", self.full_name(), self.last_lines());
            }
            if Instant::now() > deadline {
                bail!(
                    "{}: {what} not ready after {patience:?}: {why}\n{}",
                    self.full_name(),
                    self.last_lines()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last lines of its containers' logs.
    pub(crate) fn last_lines(&self) -> String {
        let mut text = String::new();
        for process in &self.containers {
            let log = fs::read_to_string(self.log(&process.name)).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(10)..] {
                text.push_str(&format!("  {}: {line}\n", process.name));
            }
        }
        text
    }

    /// Ends it as a kubelet does: SIGTERM to each container when its `preStop` is over, and SIGKILL to what is left after
    /// `grace`. Whether all ended by themselves.
    pub(crate) fn terminate(&mut self, grace: Duration) -> bool {
        let start = Instant::now();
        let pause = |container: &Process| self.pause(&container.name).unwrap_or_default();
        let mut order: Vec<_> = self.containers.iter().map(|c| (pause(c), c)).collect();
        order.sort_by_key(|(pause, _)| *pause);
        for (pause, container) in order {
            std::thread::sleep(pause.saturating_sub(start.elapsed()));
            container.signal(Signal::SIGTERM);
        }
        let deadline = start + grace;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut all = true;
        // Each is waited for, also when one before it was late.
        for container in &mut self.containers {
            all &= container.wait(left());
        }
        all
    }
}

fn hold(mounts: &Mounts) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["hold", "--mounts", &serde_json::to_string(mounts)?])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // SAFETY: between fork and exec only system calls are made, on no memory of ours.
    unsafe {
        command.pre_exec(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        });
    }
    let mut child = command.spawn().context("namespaces of a pod")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("stdout")?).read_line(&mut line)?;
    if line.trim() != "ready" {
        let status = child.wait()?;
        bail!("the pod's namespaces could not be laid out: {status}");
    }
    Ok(child)
}
