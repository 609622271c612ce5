//! Processes in a pod: its namespaces, a user, the environment that its specification asks for.

#![expect(unsafe_code, reason = "what runs between fork and exec")]

use super::hold::PROGRAMS;
use anyhow::{Context, Result, bail};
use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, setns},
    sys::signal::{Signal, kill},
    unistd::{Gid, Pid, Uid, setgid, setgroups, setuid},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// A user with a group of the same number.
#[derive(Clone, Copy)]
pub(crate) struct User(pub(crate) u32);

impl User {
    pub(crate) const ROOT: Self = Self(0);
    pub(crate) const PROXY: Self = Self(mesh_model::port::PROXY_UID);
    /// Whom applications and clients run as.
    pub(crate) const APPLICATION: Self = Self(65534);
}

/// Makes `command` run in the namespaces that process `pid` holds, as `user`, and end when we end.
pub(crate) fn enter(command: &mut Command, pid: u32, user: User) -> Result<()> {
    let open = |kind: &str| {
        let path = format!("/proc/{pid}/ns/{kind}");
        File::open(&path).with_context(|| format!("{path}: the pod is gone"))
    };
    let (mounts, network) = (open("mnt")?, open("net")?);
    // SAFETY: between fork and exec only system calls are made, on descriptors that the closure owns.
    unsafe {
        command.pre_exec(move || {
            setns(&network, CloneFlags::CLONE_NEWNET)?;
            setns(&mounts, CloneFlags::CLONE_NEWNS)?;
            setgroups(&[])?;
            setgid(Gid::from_raw(user.0))?;
            setuid(Uid::from_raw(user.0))?;
            // After the change of user, which would clear it.
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        });
    }
    Ok(())
}

/// Makes `command`, and all that it starts, run on the core `cpu` alone.
pub(crate) fn pin(command: &mut Command, cpu: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(cpu).with_context(|| format!("core {cpu}"))?;
    // SAFETY: between fork and exec only a system call is made, on memory that the closure owns.
    unsafe {
        command.pre_exec(move || Ok(sched_setaffinity(Pid::from_raw(0), &cores)?));
    }
    Ok(())
}

/// A container's command line and environment, as a kubelet makes them of its specification.
pub(crate) struct Specification {
    /// Arguments.
    pub(crate) arguments: Vec<String>,
    /// Environment.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Specification {
    /// Reads `container` of `pod`, both as in the API.
    pub(crate) fn new(container: &Value, pod: &Value) -> Result<Self> {
        let mut environment = BTreeMap::new();
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().context("env without a name")?;
            if let Some(value) =
                value_of(variable, container, pod).with_context(|| format!("env {name}"))?
            {
                environment.insert(name.to_owned(), value);
            }
        }
        let arguments = container["args"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let arguments = arguments
            .map(|argument| expand(argument, &environment))
            .collect();
        Ok(Self {
            arguments,
            environment,
        })
    }
}

fn value_of(variable: &Value, container: &Value, pod: &Value) -> Result<Option<String>> {
    if let Some(value) = variable["value"].as_str() {
        return Ok(Some(value.to_owned()));
    }
    let from = &variable["valueFrom"];
    if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
        let pointer = format!("/{}", path.replace('.', "/"));
        let value = pod.pointer(&pointer).and_then(Value::as_str);
        return Ok(Some(
            value
                .with_context(|| format!("the pod has no {path}"))?
                .to_owned(),
        ));
    }
    if let Some(resource) = from["resourceFieldRef"]["resource"].as_str() {
        let pointer = format!("/resources/{}", resource.replace('.', "/"));
        let quantity = container.pointer(&pointer).and_then(Value::as_str);
        return Ok(quantity.map(whole));
    }
    if variable.get("valueFrom").is_some() {
        bail!("{from} is not known here");
    }
    Ok(Some(String::new()))
}

/// A quantity as a whole number, rounded up, as the downward API gives it with a divisor of 1.
fn whole(quantity: &str) -> String {
    let split = quantity
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(split);
    let factor = match unit {
        "m" => 0.001,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => 1.0,
    };
    ((number.parse::<f64>().unwrap_or(0.0) * factor).ceil() as u64).to_string()
}

/// Replaces `$(NAME)`; an unknown name stays as it is.
fn expand(text: &str, environment: &BTreeMap<String, String>) -> String {
    environment
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("$({name})"), value)
        })
}

/// A running process of a pod.
pub(crate) struct Process {
    /// What it is, for messages.
    pub(crate) name: String,
    child: Child,
}

impl Process {
    /// Starts `command`.
    pub(crate) fn spawn(name: String, command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("{name}: {command:?}"))?;
        Ok(Self { name, child })
    }

    /// Its number in the sandbox.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends `signal`.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid() as i32), signal);
    }

    /// Waits until it has ended by itself, at most `patience`, then kills it. Whether it ended by itself.
    pub(crate) fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if self.ended().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        false
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Path of a program inside a pod.
pub(crate) fn program(name: &str) -> String {
    format!("{PROGRAMS}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn environment_and_arguments_as_a_kubelet_makes_them() {
        let pod = json!({"metadata": {"name": "a", "namespace": "test"}, "status": {"podIP": "10.0.0.1"}});
        let container = json!({
            "args": ["--domain", "$(POD_NAMESPACE).svc.cluster.local", "$(UNKNOWN)"],
            "env": [
                {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
                {"name": "PLAIN", "value": "x"},
            ],
            "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}},
        });
        let specification = Specification::new(&container, &pod).expect("valid");
        assert_eq!(
            specification.arguments,
            ["--domain", "test.svc.cluster.local", "$(UNKNOWN)"]
        );
        let want = [
            ("CPU", "2"),
            ("MEMORY", "1073741824"),
            ("PLAIN", "x"),
            ("POD_NAMESPACE", "test"),
        ];
        let want: BTreeMap<_, _> = want
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(specification.environment, want);
    }
}
