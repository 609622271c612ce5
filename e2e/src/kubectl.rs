//! kubectl, as a person uses it: what a scenario does to a cluster, it does by this.

use crate::sandbox;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long a cluster may take for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long what was deleted may take to be gone, for `kubectl delete`, which else waits for ever.
pub(crate) const DELETED_WITHIN: &str = "--timeout=120s";
/// How long `port-forward` may take to say where it listens.
const OPENING: Duration = Duration::from_secs(30);
/// What ends with one answer of the API server, which must not take for ever. What watches or streams has an end of its own.
const ANSWERED_AT_ONCE: [&str; 11] = [
    "annotate", "apply", "create", "describe", "get", "label", "patch", "replace", "restart",
    "run", "scale",
];

/// The program, and the cluster that it speaks to.
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
}

impl Kubectl {
    /// Without `kubeconfig`: the one that the caller's environment names.
    pub(crate) fn new(program: PathBuf, kubeconfig: Option<PathBuf>) -> Self {
        Self {
            program,
            kubeconfig,
        }
    }

    /// A command with these arguments.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        self.configure(&mut command);
        command.args(arguments);
        command
    }

    /// The same with an end: a server that does not answer must not hold us for ever.
    fn bounded<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        self.configure(&mut command);
        command.args(bound(arguments)).args(arguments);
        command
    }

    /// What a line of shell prints, as a person types it: with kubectl, and the programs beside us, in PATH.
    pub(crate) fn shell(&self, line: &str) -> Result<String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let us = std::env::current_exe()?;
        let own = [self.program.parent(), us.parent()];
        let folders = own.into_iter().flatten().map(PathBuf::from);
        let path = std::env::join_paths(folders.chain(std::env::split_paths(&path)))?;
        let mut shell = Command::new("sh");
        // meshctl looks for a demo's pods where that says, before it looks into a cluster.
        shell
            .args(["-c", line])
            .env("PATH", path)
            .env_remove(sandbox::INSIDE);
        self.configure(&mut shell);
        let output = shell.output().context("sh")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{line}: {}", complaint.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn configure(&self, command: &mut Command) {
        if let Some(path) = &self.kubeconfig {
            command.env("KUBECONFIG", path);
            // Beside it, not in the home of whoever runs this.
            command.env("KUBECACHEDIR", path.with_extension("cache"));
        }
    }

    /// What it prints.
    ///
    /// # Errors
    /// If it fails: with what it says then.
    pub(crate) fn text<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String> {
        let output = self
            .bounded(arguments)
            .output()
            .with_context(|| self.shown())?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let words: Vec<_> = arguments
                .iter()
                .map(|a| a.as_ref().to_string_lossy())
                .collect();
            bail!("kubectl {}: {}", words.join(" "), complaint.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What it prints as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.text(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).context("kubectl prints JSON")
    }

    /// Applies objects.
    pub(crate) fn apply(&self, objects: &Value) -> Result<()> {
        self.apply_text(&objects.to_string(), &[])
    }

    /// Applies a manifest as it is written, with further arguments such as `-n test`.
    pub(crate) fn apply_text(&self, manifest: &str, arguments: &[&str]) -> Result<()> {
        let arguments = [&["apply", "-f", "-"], arguments].concat();
        let mut child = self
            .bounded(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| self.shown())?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(manifest.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {}: {}", arguments.join(" "), complaint.trim());
        }
        Ok(())
    }

    /// Waits until the Deployment `name` has rolled out; if it does not, says what its pods say.
    pub(crate) fn rolled_out(&self, namespace: &str, name: &str) -> Result<()> {
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        let target = format!("deployment/{name}");
        let rollout = self.text(&["-n", namespace, "rollout", "status", &target, &timeout]);
        rollout.map(drop).map_err(|error| {
            let pods = self
                .text(&["-n", namespace, "describe", "pods"])
                .unwrap_or_default();
            error.context(pods)
        })
    }

    /// Names of the pods with `label`, such as `app=nginx`.
    pub(crate) fn pods(&self, namespace: &str, label: &str) -> Result<Vec<String>> {
        let names = "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}";
        let text = self.text(&["-n", namespace, "get", "pods", "-l", label, "-o", names])?;
        Ok(text.lines().map(String::from).collect())
    }

    /// What `command` prints in a container of `pod` (or `deploy/name`): the first one, unless `-c` leads.
    pub(crate) fn exec(&self, namespace: &str, pod: &str, command: &[&str]) -> Result<String> {
        self.text(&[&["-n", namespace, "exec", pod, "--"], command].concat())
    }

    /// Opens a port of loopback that leads to `port` of `target`, a pod or `deploy/name`.
    pub(crate) fn forward(&self, namespace: &str, target: &str, port: u16) -> Result<Forward> {
        let ports = format!(":{port}");
        let mut child = self
            .command(&["-n", namespace, "port-forward", target, &ports])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| self.shown())?;
        let (said, hears) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            let mut output = BufReader::new(output);
            thread::spawn(move || {
                let mut line = String::new();
                let _ = output.read_line(&mut line);
                let _ = said.send(line);
                // It says a line for each connection, and stops when nobody reads.
                std::io::copy(&mut output, &mut std::io::sink())
            });
        }
        // What it has not said by then is as bad as what it says wrong.
        let line = hears.recv_timeout(OPENING).unwrap_or_default();
        let local = line
            .strip_prefix("Forwarding from 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        let Some(local) = local else {
            let _ = child.kill();
            let output = child.wait_with_output()?;
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!(
                "kubectl port-forward {target} {port}: {line}{}",
                complaint.trim()
            );
        };
        Ok(Forward { child, local })
    }

    fn shown(&self) -> String {
        self.program.display().to_string()
    }
}

/// What bounds a call of kubectl with these arguments, whose verb may come after `-n test`.
fn bound<S: AsRef<OsStr>>(arguments: &[S]) -> Option<&'static str> {
    let words: Vec<_> = arguments
        .iter()
        .filter_map(|a| a.as_ref().to_str())
        .collect();
    let mut words = match words.as_slice() {
        ["-n", _, rest @ ..] => rest.iter(),
        all => all.iter(),
    };
    let verb = match words.next() {
        Some(&"rollout") => words.next(),
        verb => verb,
    };
    verb.is_some_and(|verb| ANSWERED_AT_ONCE.contains(verb))
        .then_some("--request-timeout=60s")
}

/// A forwarded port; closes when dropped.
pub(crate) struct Forward {
    child: Child,
    /// The port of loopback.
    pub(crate) local: u16,
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long the control plane's news may take to reach a proxy.
pub(crate) const SETTLING: Duration = Duration::from_secs(30);

/// Tries again until it succeeds, or `patience` is over: then with the last error.
pub(crate) fn eventually<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(100)),
            done => return done.with_context(|| format!("not within {patience:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_watches_or_streams_has_no_bound_but_its_own() {
        let bounded = |line: &str| bound(&line.split(' ').collect::<Vec<_>>()).is_some();
        for line in [
            "get pods",
            "-n a get pods",
            "-n a rollout restart deployment/b",
        ] {
            assert!(bounded(line), "{line}");
        }
        for line in [
            "-n a rollout status deployment/get --timeout=120s",
            "-n get exec b -- get",
            "-n a logs b",
            "-n a wait pod --for=delete",
            "-n a delete pod b",
            "-n a port-forward b :80",
        ] {
            assert!(!bounded(line), "{line}");
        }
    }
}
