//! Mutual TLS: nothing is readable between pods of the mesh; who is outside is served under PERMISSIVE and refused under
//! STRICT, at each level at which a PeerAuthentication may stand; probes pass all the same.

mod levels; // each level at which a policy may stand

use super::{
    Form,
    mesh::{Mesh, SYSTEM},
    wire::Capture,
};
use crate::{
    cluster::{Cluster, Namespace},
    kubectl::{Kubectl, SETTLING, eventually},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::{thread, time::Duration};

const SERVER: &str = include_str!("../../manifests/policy.yaml");
const PEER: &str = include_str!("../../manifests/curl-anywhere.yaml");
/// In the mesh.
const INSIDE: &str = "inside";
/// Not in the mesh.
const OUTSIDE: &str = "outside";

/// Plays it.
pub(crate) fn play(cluster: &dyn Cluster, _: &Form) -> Result<()> {
    let kubectl = cluster.kubectl();
    let _mesh = Mesh::install(cluster, &[])?;
    let inside = Namespace::injected(kubectl, INSIDE)?;
    let outside = Namespace::new(kubectl, OUTSIDE)?;
    for (manifest, namespace) in [(SERVER, &inside), (PEER, &inside), (PEER, &outside)] {
        let manifest = cluster.manifest(manifest);
        kubectl.apply_text(&manifest, &["-n", &namespace.name])?;
    }
    kubectl.rolled_out(INSIDE, "server")?;
    kubectl.rolled_out(INSIDE, "client")?;
    kubectl.rolled_out(OUTSIDE, "client")?;
    if cluster.shares_our_network() {
        on_the_wire(kubectl)?;
    } else {
        println!("  skipped: the nodes are not in our network, so their frames are not seen here");
    }
    levels::play(kubectl)?;
    probes(kubectl)
}

/// What became of a request.
#[derive(Debug)]
enum Outcome {
    /// The server described it.
    Served(String),
    /// The connection was taken, and ended without an answer.
    Refused,
}

/// The server's answer describes the request, so the marker passes both ways.
///
/// # Errors
/// If it is neither served nor refused: a name that does not resolve, an address that nobody has, silence.
fn ask(kubectl: &Kubectl, from: &str, marker: &str) -> Result<Outcome> {
    // As curl's manual has them: an empty reply, and a failure to receive.
    const REFUSED: [i32; 2] = [52, 56];
    let header = format!("x-marker: {marker}");
    let url = format!("http://server.{INSIDE}/");
    let exec = ["-n", from, "exec", "deploy/client", "-c", "client", "--"];
    let curl = ["curl", "-sS", "--fail", "--max-time", "5", "-H"];
    let output = kubectl
        .command(&[&exec[..], &curl[..], &[&header, &url]].concat())
        .output()?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => {
            ensure!(answer.contains(marker), "it answers {answer}");
            Ok(Outcome::Served(answer))
        }
        // What ends a command in a pod ends kubectl.
        Some(code) if REFUSED.contains(&code) => Ok(Outcome::Refused),
        code => bail!(
            "{code:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    }
}

/// Whether a request is served, else the reason.
fn is_served(kubectl: &Kubectl, from: &str, marker: &str) -> Result<String> {
    match ask(kubectl, from, marker)? {
        Outcome::Served(answer) => Ok(answer),
        Outcome::Refused => bail!("from {from}: refused"),
    }
}

/// Whether a request is refused, else what else became of it.
fn is_refused(kubectl: &Kubectl, from: &str) -> Result<()> {
    match ask(kubectl, from, "refused")? {
        Outcome::Served(answer) => bail!("from {from}: served: {answer}"),
        Outcome::Refused => Ok(()),
    }
}

/// From outside it is in plain sight, which shows that the capture sees.
fn on_the_wire(kubectl: &Kubectl) -> Result<()> {
    for (from, secret) in [(OUTSIDE, false), (INSIDE, true)] {
        let marker = format!("marker-{from}-5fb8a2c1");
        eventually(SETTLING, || is_served(kubectl, from, "warm-up"))?;
        let capture = Capture::start()?;
        for _ in 0..10 {
            is_served(kubectl, from, &marker)?;
        }
        let seen = capture.end(&marker)?;
        println!(
            "  10 requests from {from}: {} frames, {} of them with readable headers",
            seen.frames, seen.holding
        );
        ensure!(seen.frames > 0, "nothing was captured");
        ensure!((seen.holding == 0) == secret, "from {from}: {seen:?}");
    }
    Ok(())
}

/// A server that starts under STRICT is ready, and stays so: kubelet has no certificate, as who is outside has none.
fn probes(kubectl: &Kubectl) -> Result<()> {
    let strict = levels::policy(SYSTEM, "default", json!({"mtls": {"mode": "STRICT"}}));
    kubectl.apply(&strict)?;
    eventually(SETTLING, || is_refused(kubectl, OUTSIDE)).context("STRICT, before")?;
    kubectl.text(&["-n", INSIDE, "rollout", "restart", "deployment/server"])?;
    kubectl.rolled_out(INSIDE, "server")?;
    thread::sleep(Duration::from_secs(5));
    let pods = kubectl.json(&["-n", INSIDE, "get", "pods", "-l", "app=server"])?;
    let mut pods: Vec<_> = pods["items"].as_array().into_iter().flatten().collect();
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    ensure!(pods.len() == 1, "pods are {pods:?}");
    let mut statuses = pods[0]["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten();
    let server = statuses.find(|status| status["name"] == "server");
    let status = server.context("no status of the server")?;
    ensure!(
        status["restartCount"] == 0 && status["ready"] == true && status["started"] == true,
        "{status}"
    );
    is_refused(kubectl, OUTSIDE).context("STRICT, afterwards")?;
    is_served(kubectl, INSIDE, "strict")?;
    println!(
        "  startup (HTTP), readiness (gRPC) and liveness probes (TCP) pass under STRICT, which refuses who is outside"
    );
    Ok(())
}
