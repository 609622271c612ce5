//! Where DNS is captured, the application's queries for names of the mesh are answered by its sidecar, and those for
//! others by the pod's name server, which never hears of the first.

use crate::{
    netns::{Launcher, Programs, bridge::GATEWAY, container::User, objects},
    stage::{CLIENT, article},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::{
    net::UdpSocket,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const CAPTURE: &str = "proxyMetadata:\n  ISTIO_META_DNS_CAPTURE: \"true\"\n";
/// What the name server answers to every query for an IPv4 address.
const OUTSIDE: [u8; 4] = [192, 0, 2, 7];
/// How long the control plane's news may take to reach a proxy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays it.
pub(crate) fn play() -> Result<()> {
    let mut launcher = Launcher::new(&Programs::beside_us()?)?;
    let server = NameServer::start()?;
    launcher.namespace("test", &[("istio-injection", "enabled")])?;
    launcher.namespace("default", &[])?;
    let [client, _] = article(&mut launcher)?;
    launcher.endpoints(|_| false)?;
    launcher.start_discovery()?;
    let mut pod = objects::pod_of(&client, "f5b5d48b5", "qdzft");
    pod["metadata"]["annotations"]["proxy.istio.io/config"] = CAPTURE.into();
    let address = launcher.free_address();
    launcher.pod(&pod, address)?;
    launcher.wait_ready(CLIENT)?;
    println!("a pod whose DNS is captured is ready");

    // None of these stands in the pod's /etc/hosts.
    for name in [
        "db.test",
        "db.default",
        "pods.test",
        "db-0.pods.test.svc.cluster.local",
    ] {
        expect(&launcher, name, "192.0.2.7")?;
        ensure!(
            server.has_heard(name),
            "{name} was not asked of the name server"
        );
    }
    println!("names that nobody in the mesh has come from the name server");
    server.forget();
    for (namespace, address) in [("test", "10.96.1.1"), ("default", "10.96.1.2")] {
        launcher.object(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": namespace},
            "spec": {"clusterIP": address, "ports": [{"port": 5432, "name": "tcp"}]},
        }))?;
    }
    headless(&launcher)?;
    for (name, address) in [
        ("db.test", "10.96.1.1"),
        ("db", "10.96.1.1"),
        ("db.default", "10.96.1.2"),
        ("db.default.svc.cluster.local", "10.96.1.2"),
        ("pods.test", "10.244.0.81"),
        ("db-0.pods.test.svc.cluster.local", "10.244.0.81"),
    ] {
        expect(&launcher, name, address)?;
    }
    println!("names of Services, and of pods that have one, come from the sidecar");
    server.forget();
    expect(&launcher, "db.default", "10.96.1.2")?;
    ensure!(
        !server.has_heard("db"),
        "the name server was asked for a name of the mesh"
    );
    expect(&launcher, "elsewhere.example.com", "192.0.2.7")?;
    ensure!(
        server.has_heard("elsewhere.example.com"),
        "the name server was not asked"
    );
    shown(&launcher)
}

/// A Service of pods, one of which has a name.
fn headless(launcher: &Launcher) -> Result<()> {
    launcher.object(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "pods", "namespace": "test"},
        "spec": {"clusterIP": "None", "ports": [{"port": 5432, "name": "tcp"}]},
    }))?;
    let service = mesh_model::annotation::SLICE_SERVICE_NAME;
    launcher.object(&json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "pods-0", "namespace": "test", "labels": {service: "pods"}},
        "addressType": "IPv4", "ports": [{"port": 5432, "name": "tcp"}],
        "endpoints": [{"addresses": ["10.244.0.81"], "hostname": "db-0"}],
    }))
}

/// What the agent tells of its names and of the queries so far.
fn shown(launcher: &Launcher) -> Result<()> {
    let page = |path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", mesh_model::port::STATUS);
        let output = run(
            launcher,
            Command::new("curl").args(["-sS", "--max-time", "5", &url]),
        );
        output.with_context(|| path.to_owned())
    };
    let names = page("/debug/ndsz")?;
    ensure!(
        names.contains("db-0.pods.test.svc.cluster.local"),
        "{names}"
    );
    let metrics = page("/stats/prometheus")?;
    let count = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse::<u64>().ok())
            .unwrap_or_default()
    };
    let [all, outside, failed] = ["requests", "upstream_requests", "upstream_failures"]
        .map(|what| count(&format!("istio_agent_dns_{what}_total ")));
    ensure!(
        outside > 0 && all > outside && failed == 0,
        "{all} queries, {outside} forwarded, {failed} failed"
    );
    println!("the agent shows its names, and counted {all} queries, {outside} of them forwarded");
    Ok(())
}

/// Waits until the application finds `name` at `address` and nowhere else.
fn expect(launcher: &Launcher, name: &str, address: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = run(launcher, Command::new("getent").args(["ahostsv4", name]));
        let found = found.map(|text| {
            let first = text
                .lines()
                .filter_map(|line| line.split_whitespace().next());
            let mut all: Vec<_> = first.map(str::to_owned).collect();
            all.dedup();
            all
        });
        if found.as_ref().is_ok_and(|found| found == &[address]) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{name} is found at {found:?}, and not at {address}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn run(launcher: &Launcher, command: &mut Command) -> Result<String> {
    let pod = launcher.pods.iter().find(|pod| pod.name() == CLIENT);
    let output = pod
        .context("the client")?
        .output(command, User::APPLICATION)?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The name server of the pods: it knows one address for every name.
struct NameServer {
    heard: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Serves until the sandbox ends.
    fn start() -> Result<Self> {
        let socket = UdpSocket::bind((GATEWAY, 53)).context("the name server's socket")?;
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let names = Arc::clone(&heard);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                let Some((name, answer)) = answer(&query[..length]) else {
                    continue;
                };
                names
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .push(name);
                let _ = socket.send_to(&answer, client);
            }
        });
        Ok(Self { heard })
    }

    /// Whether it was asked for `name`, or for that with a search domain behind it.
    fn has_heard(&self, name: &str) -> bool {
        let heard = self
            .heard
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        heard
            .iter()
            .any(|heard| heard == name || heard.starts_with(&format!("{name}.")))
    }

    fn forget(&self) {
        self.heard
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clear();
    }
}

/// The name asked for, and the answer: the query's own head and question, and an address if one is asked for.
fn answer(query: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        let label = query.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).into_owned());
    }
    let question = query.get(12..at + 4)?;
    let is_for_address = query.get(at..at + 2)? == [0, 1];
    let flags_and_counts = [0x81, 0x80, 0, 1, 0, u8::from(is_for_address), 0, 0, 0, 0];
    let mut answer = [&query[..2], &flags_and_counts, question].concat();
    if is_for_address {
        // The name of the question, an IPv4 address of the Internet, a second, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(OUTSIDE);
    }
    Some((labels.join("."), answer))
}
