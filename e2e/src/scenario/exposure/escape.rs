//! Applications that run as the proxy's user. What they send is not captured: the rules can't tell them from the proxy,
//! and no promise is made of outbound traffic. What they serve is captured as any other, and policy holds for it.

use super::visitor::{Outcome, Visitor};
use crate::{
    netns::container::{self, User},
    scenario::hostile,
    stage::{CLIENT, SERVER, SERVER_ADDRESS, Stage},
};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::{
    net::SocketAddr,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

/// Where the proxy's user serves.
const PORT: u16 = 8080;
/// How long the control plane's news may take to reach a proxy.
const PATIENCE: Duration = Duration::from_secs(30);
/// Header that a sidecar adds for a client that has shown a certificate.
const CERTIFICATE: &str = "x-forwarded-client-cert";

/// Plays it.
pub(super) fn play(stage: &mut Stage) -> Result<()> {
    serve(stage)?;
    let ask = |port: u16| {
        let to = SocketAddr::from((SERVER_ADDRESS, port));
        Visitor::Outside.ask(to, "GET /", &["Host: nginx.test"])
    };
    for port in [80, PORT] {
        let outcome = ask(port)?;
        ensure!(
            outcome.status() == Some(200),
            "without a policy, outside to port {port}: {outcome}"
        );
    }
    let captured = curl(stage, User::APPLICATION)?;
    ensure!(captured.contains(CERTIFICATE), "not captured: {captured}");
    let escaped = curl(stage, User::PROXY)?;
    ensure!(
        escaped.contains("nginx") && !escaped.contains(CERTIFICATE),
        "the proxy's user is captured: {escaped}"
    );
    println!("an application as the proxy's user: its requests are not captured");

    strict(stage)?;
    let deadline = Instant::now() + PATIENCE;
    while ask(80)? != Outcome::Closed {
        ensure!(Instant::now() < deadline, "STRICT has no effect");
        sleep(Duration::from_millis(50));
    }
    let outcome = ask(PORT)?;
    ensure!(
        outcome == Outcome::Closed,
        "STRICT, but a server that runs as the proxy's user answers a client without a certificate: {outcome}"
    );
    hostile::serves(stage).context("a client with a certificate")?;
    let refused = curl(stage, User::PROXY);
    ensure!(
        refused.is_err(),
        "STRICT, but served without a certificate: {refused:?}"
    );
    println!("STRICT holds for a server that runs as the proxy's user, and against such a client");
    Ok(())
}

/// A second application in the server's pod, as the proxy's user.
fn serve(stage: &mut Stage) -> Result<()> {
    let mut command = Command::new(container::program("mesh-e2e"));
    command.args(["echo", "--port", &PORT.to_string(), "--name", "escaped"]);
    stage
        .launcher
        .pod_mut(SERVER)?
        .start("escaped", &mut command, User::PROXY)?;
    stage.launcher.wait_application(SERVER, PORT)
}

/// What the application in the client's pod reads from the server, where it runs as `user`.
fn curl(stage: &Stage, user: User) -> Result<String> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "--max-time", "5", "http://nginx.test/"]);
    if user.0 == User::PROXY.0 {
        // Nothing but capture leads from a Service's address to a pod here.
        let to = format!("nginx.test:80:{SERVER_ADDRESS}");
        curl.args(["--resolve", &to]);
    }
    stage.in_pod(CLIENT, user, &mut curl)
}

fn strict(stage: &Stage) -> Result<()> {
    stage.launcher.object(&json!({
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": "test"},
        "spec": {"mtls": {"mode": "STRICT"}},
    }))
}
