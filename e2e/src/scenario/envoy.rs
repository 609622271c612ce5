//! A plain Envoy as the sidecar of a third pod, with `mesh-proxy agent` beside it for its certificate: it takes all that
//! mesh-discovery serves, and speaks mutual TLS with mesh-proxy in both directions.

use crate::{
    envoy,
    netns::{
        Programs,
        container::{self, User},
        objects,
    },
    stage::{CLIENT, Stage, documents},
};
use anyhow::{Context, Result, bail, ensure};
use mesh_model::port;
use serde_json::Value;
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const POD: &str = "envoy-5d8f7c9b4-m3t7z";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 102, 20, 30);
/// How long Envoy may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays it.
pub(crate) fn play() -> Result<()> {
    let program = envoy::program()?;
    let mut stage = Stage::set(&Programs::beside_us()?, &|text| println!("{text}"))?;
    let [deployment, service] = documents(include_str!("../../manifests/envoy.yaml"))?;
    stage.launcher.object(&deployment)?;
    stage.launcher.service(service, ADDRESS)?;
    start(&mut stage, &deployment, &program)?;
    stage.launcher.endpoints(|_| true)?;
    serves(&stage, POD, "nginx.test").context("from Envoy to mesh-proxy")?;
    let over = metric(&stage)?;
    println!("from Envoy to mesh-proxy: {over}");
    // The client's proxy has hosts of its own file: the new Service is asked for by its address.
    serves_at(&stage, CLIENT, "envoy.test", ADDRESS).context("from mesh-proxy to Envoy")?;
    on_the_http_chain(&stage)?;
    nothing_refused(&stage)
}

fn start(stage: &mut Stage, deployment: &Value, program: &Path) -> Result<()> {
    let pod = objects::pod_of(deployment, "5d8f7c9b4", "m3t7z");
    let address = stage.launcher.free_address();
    let pod = envoy::pod(&mut stage.launcher, &pod, address, program, None)?;
    let mut echo = Command::new(container::program("mesh-e2e"));
    pod.start(
        "echo",
        echo.args(["echo", "--port", "80", "--name", "envoy"]),
        User::ROOT,
    )?;
    stage.launcher.wait_application(POD, 80)
}

fn serves(stage: &Stage, from: &str, host: &str) -> Result<()> {
    ask(stage, from, host, &[])
}

fn serves_at(stage: &Stage, from: &str, host: &str, address: Ipv4Addr) -> Result<()> {
    ask(
        stage,
        from,
        host,
        &["--resolve".into(), format!("{host}:80:{address}")],
    )
}

/// Asks until the answer is 200: configuration may still be on its way.
fn ask(stage: &Stage, from: &str, host: &str, more: &[String]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "5",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ])
        .args(more)
        .arg(format!("http://{host}"));
        match stage.in_pod(from, User::APPLICATION, &mut curl) {
            Ok(status) if status == "200" => return Ok(()),
            other if Instant::now() > deadline => {
                bail!("no 200 within {PATIENCE:?}: {other:?}\n{}", logs(stage))
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn logs(stage: &Stage) -> String {
    let Some(pod) = stage.launcher.pods.iter().find(|pod| pod.name() == POD) else {
        return String::new();
    };
    let log = |name: &str| fs::read_to_string(pod.log(name)).unwrap_or_default();
    format!("agent:\n{}\nenvoy:\n{}", log("agent"), log("envoy"))
}

/// The server's count of requests from Envoy's identity, over mutual TLS.
fn metric(stage: &Stage) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let wanted = [
        "istio_requests_total{",
        "connection_security_policy=\"mutual_tls\"",
        "response_code=\"200\"",
    ];
    loop {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "5",
            "http://127.0.0.1:15090/stats/prometheus",
        ]);
        let all = stage.in_pod(crate::stage::SERVER, User::APPLICATION, &mut curl)?;
        if let Some(line) = all
            .lines()
            .find(|line| wanted.iter().all(|part| line.contains(part)))
        {
            return Ok(line.to_owned());
        }
        ensure!(
            Instant::now() < deadline,
            "the server has counted no request over mutual TLS"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Envoy's statistics that `wanted` says.
fn statistics(stage: &Stage, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, u64)>> {
    let url = format!("http://127.0.0.1:{}/stats", port::ADMIN);
    let all = stage.in_pod(
        POD,
        User::APPLICATION,
        Command::new("curl").args(["-sS", "--max-time", "5", &url]),
    )?;
    let numbers = all.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    Ok(numbers.filter(|(name, _)| wanted(name)).collect())
}

/// The request from mesh-proxy was terminated as mutual TLS, and was HTTP to Envoy.
fn on_the_http_chain(stage: &Stage) -> Result<()> {
    let handshakes = statistics(stage, |name| name.ends_with("0.0.0.0_15006.ssl.handshake"))?;
    ensure!(
        handshakes.iter().any(|(_, n)| *n > 0),
        "Envoy has terminated no TLS: {handshakes:?}"
    );
    let requests = statistics(stage, |name| {
        name.starts_with("http.inbound_0.0.0.0_80") && name.ends_with("downstream_rq_2xx")
    })?;
    ensure!(
        requests.iter().any(|(_, n)| *n > 0),
        "Envoy has seen no HTTP request: {requests:?}"
    );
    println!("from mesh-proxy to Envoy: {handshakes:?} {requests:?}");
    Ok(())
}

fn nothing_refused(stage: &Stage) -> Result<()> {
    let rejected = statistics(stage, |name| name.ends_with("update_rejected"))?;
    ensure!(
        !rejected.is_empty() && rejected.iter().all(|(_, n)| *n == 0),
        "Envoy has refused updates: {rejected:?}\n{}",
        logs(stage)
    );
    println!(
        "refused by Envoy: none of {} kinds of updates",
        rejected.len()
    );
    Ok(())
}
