//! A steady load from inside the mesh on nginx with several replicas; each request has a number, which its server writes
//! down.

use super::pod;
use crate::{
    cluster::{Cluster, Namespace},
    kubectl::{Kubectl, eventually},
    ledger::Ledger,
    load::Report,
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const SERVERS: &str = include_str!("../../manifests/rollout.yaml");
const LOAD: &str = include_str!("../../manifests/load.yaml");

/// Servers and load in a namespace of their own.
pub(super) struct Traffic<'a> {
    cluster: &'a dyn Cluster,
    kubectl: &'a Kubectl,
    namespace: Namespace<'a>,
    /// Folder of the node.
    ledger: String,
    started: Instant,
    seconds: u64,
}

impl<'a> Traffic<'a> {
    /// Starts the servers, then `seconds` of load.
    pub(super) fn start(cluster: &'a dyn Cluster, name: &str, seconds: u64) -> Result<Self> {
        let kubectl = cluster.kubectl();
        let namespace = Namespace::injected(kubectl, name)?;
        let ledger = format!("/run/mesh-ledger-{name}");
        let servers = SERVERS.replace("LEDGER", &ledger);
        kubectl.apply_text(&servers, &["-n", name])?;
        kubectl.rolled_out(name, "nginx")?;
        let load = cluster.manifest(&LOAD.replace("SECONDS", &seconds.to_string()));
        kubectl.apply_text(&load, &["-n", name])?;
        let running = [
            "-n",
            name,
            "wait",
            "pod",
            "-l",
            "app=load",
            "--for=condition=Ready",
            "--timeout=60s",
        ];
        // It is looked for before the Job's controller has made it.
        eventually(Duration::from_secs(60), || kubectl.text(&running))?;
        Ok(Self {
            cluster,
            kubectl,
            namespace,
            ledger,
            started: Instant::now(),
            seconds,
        })
    }

    /// Replaces all servers, as `kubectl rollout restart` does; returns when the new ones serve.
    pub(super) fn roll(&self) -> Result<()> {
        let name = &self.namespace.name;
        self.kubectl
            .text(&["-n", name, "rollout", "restart", "deployment/nginx"])?;
        self.kubectl.rolled_out(name, "nginx")?;
        println!("  {:>5.1} s  all servers are replaced", self.elapsed());
        Ok(())
    }

    /// Seconds since the load began.
    pub(super) fn elapsed(&self) -> f32 {
        self.started.elapsed().as_secs_f32()
    }

    /// Whether the load still goes on for `reserve`.
    pub(super) fn goes_on_for(&self, reserve: Duration) -> bool {
        self.started.elapsed() + reserve < Duration::from_secs(self.seconds)
    }

    /// Waits for the end of the load, and judges it.
    ///
    /// # Errors
    /// Unless every request succeeded, and arrived once.
    pub(super) fn judge(self) -> Result<()> {
        let name = &self.namespace.name;
        let patience = format!("--timeout={}s", self.seconds + 120);
        let over = ["-n", name, "wait", "job/load", "--for=condition=Complete"];
        let report = self
            .kubectl
            .text(&[&over[..], &[patience.as_str()]].concat())
            .and_then(|_| {
                self.kubectl
                    .text(&["-n", name, "logs", "job/load", "-c", "load"])
            })?;
        let report: Report =
            serde_json::from_str(&report).with_context(|| format!("the report: {report}"))?;
        let numbers = Path::new(&self.ledger).join("numbers");
        let mut cat = self.cluster.on_node("cat").context("a node")?;
        let numbers = pod::output(cat.arg(numbers))?;
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), numbers)?;
        ensure!(report.sent > 0, "nothing was sent");
        let verdict = Ledger::read(file.path())?.judge(&report);
        verdict.map_err(|error| error.context(self.refusals()))
    }

    /// What the client's proxy wrote of what it did not get answered, for who looks at a failure.
    fn refusals(&self) -> String {
        let name = &self.namespace.name;
        // kubectl shows only what is not yet rotated.
        let files = format!("/var/log/pods/{name}_load-*/istio-proxy/*");
        let line = format!("zgrep -h '\" [45][0-9][0-9] ' {files} | head -n 40");
        let shell = self.cluster.on_node("sh");
        let said = shell.and_then(|mut shell| pod::output(shell.args(["-c", &line])).ok());
        said.unwrap_or_default()
    }
}

impl Drop for Traffic<'_> {
    fn drop(&mut self) {
        if let Some(mut remove) = self.cluster.on_node("rm") {
            let _ = pod::output(remove.args(["-rf", &self.ledger]));
        }
    }
}
