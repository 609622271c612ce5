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
    cell::RefCell,
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const SERVERS: &str = include_str!("../../manifests/rollout.yaml");
const LOAD: &str = include_str!("../../manifests/load.yaml");

/// How long the load may take to end after its time.
const OVER: Duration = Duration::from_secs(120);

/// Servers and load in a namespace of their own.
pub(super) struct Traffic<'a> {
    cluster: &'a dyn Cluster,
    kubectl: &'a Kubectl,
    namespace: Namespace<'a>,
    /// Folder of the node.
    ledger: String,
    started: Instant,
    /// How long the load goes on.
    length: Duration,
    /// What went wrong while it ran, and when.
    faults: RefCell<Vec<Fault>>,
}

/// Something that must not be seen by who asks.
struct Fault {
    what: &'static str,
    /// In milliseconds since 1970: by the clock of the node, which is ours.
    from_ms: u64,
    to_ms: u64,
}

impl<'a> Traffic<'a> {
    /// Starts the servers, then the load, which goes on for `length`: longer than all that is done to the mesh takes.
    pub(super) fn start(cluster: &'a dyn Cluster, name: &str, length: Duration) -> Result<Self> {
        let kubectl = cluster.kubectl();
        let namespace = Namespace::injected(kubectl, name)?;
        let ledger = format!("/run/mesh-ledger-{name}");
        let servers = SERVERS.replace("LEDGER", &ledger);
        kubectl.apply_text(&servers, &["-n", name])?;
        kubectl.rolled_out(name, "nginx")?;
        let load = cluster.manifest(&LOAD.replace("SECONDS", &length.as_secs().to_string()));
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
            length,
            faults: RefCell::default(),
        })
    }

    /// Does something to the mesh: the load must flow all the while, and all of it be answered.
    pub(super) fn under<T>(
        &self,
        what: &'static str,
        fault: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let from_ms = now_ms()?;
        let done = fault().context(what)?;
        println!("  {:>5.1} s  {what}", self.started.elapsed().as_secs_f32());
        let to_ms = now_ms()?;
        self.faults.borrow_mut().push(Fault {
            what,
            from_ms,
            to_ms,
        });
        Ok(done)
    }

    /// Replaces all servers, as `kubectl rollout restart` does; returns when the new ones serve.
    pub(super) fn roll(&self) -> Result<()> {
        let name = &self.namespace.name;
        self.kubectl
            .text(&["-n", name, "rollout", "restart", "deployment/nginx"])?;
        self.kubectl.rolled_out(name, "nginx")
    }

    /// Waits for the load's end, and judges it.
    ///
    /// # Errors
    /// Unless every request succeeded and arrived once, and in each second of each fault there were some.
    pub(super) fn judge(self) -> Result<()> {
        let report = self.end()?;
        let numbers = Path::new(&self.ledger).join("numbers");
        let mut cat = self.cluster.on_node("cat").context("a node")?;
        let numbers = pod::output(cat.arg(numbers))?;
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), numbers)?;
        ensure!(report.sent > 0, "nothing was sent");
        let verdict = Ledger::read(file.path())?.judge(&report);
        verdict.map_err(|error| error.context(self.refusals()))?;
        self.faults
            .borrow()
            .iter()
            .try_for_each(|fault| fault.met_traffic(&report))
    }

    /// What the load says when its time is over.
    fn end(&self) -> Result<Report> {
        let name = &self.namespace.name;
        let left = self.length.saturating_sub(self.started.elapsed()) + OVER;
        let patience = format!("--timeout={}s", left.as_secs());
        let over = ["-n", name, "wait", "job/load", "--for=condition=Complete"];
        self.kubectl.text(&[&over[..], &[&patience]].concat())?;
        let report = self
            .kubectl
            .text(&["-n", name, "logs", "job/load", "-c", "load"])?;
        serde_json::from_str(&report).with_context(|| format!("the report: {report}"))
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

impl Fault {
    /// Whether the load flowed in each second of it, and was answered.
    fn met_traffic(&self, report: &Report) -> Result<()> {
        let seconds = report.between(self.from_ms, self.to_ms);
        let sent: u64 = seconds.iter().map(|second| second.0).sum();
        let succeeded: u64 = seconds.iter().map(|second| second.1).sum();
        println!(
            "  {}: {succeeded} of {sent} requests answered in {} s",
            self.what,
            seconds.len()
        );
        ensure!(
            !seconds.is_empty() && seconds.iter().all(|second| second.0 > 0),
            "{}: the load did not flow all the while: {seconds:?}",
            self.what
        );
        ensure!(sent == succeeded, "{}: {seconds:?}", self.what);
        Ok(())
    }
}

fn now_ms() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64)
}

impl Drop for Traffic<'_> {
    fn drop(&mut self) {
        if let Some(mut remove) = self.cluster.on_node("rm") {
            let _ = pod::output(remove.args(["-rf", &self.ledger]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Second;

    #[test]
    fn a_fault_without_traffic_is_no_test() {
        let report = |seconds: &[Second]| Report {
            began_ms: 1000,
            seconds: seconds.to_vec(),
            ..Report::default()
        };
        let fault = Fault {
            what: "a fault",
            from_ms: 1500,
            to_ms: 4100,
        };
        let met = |seconds: &[Second]| fault.met_traffic(&report(seconds)).is_ok();
        let (all, none, some) = (Second(5, 5), Second(0, 0), Second(5, 4));
        assert!(met(&[none, all, all, none]));
        assert!(!met(&[all, all, none, all]), "a second without a request");
        assert!(!met(&[all, all]), "the load was over before");
        assert!(!met(&[all, some, all]), "one is not answered");
    }
}
