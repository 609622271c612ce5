//! Mutual TLS: nothing is readable between pods of the mesh; who is outside is served under PERMISSIVE and refused under
//! STRICT, at each level at which a PeerAuthentication may stand; probes pass all the same.

use super::{
    Form,
    mesh::{Mesh, SYSTEM},
    wire::Capture,
};
use crate::{
    cluster::{Cluster, Namespace},
    kubectl::{Kubectl, SETTLING, eventually},
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;

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
    levels(kubectl)?;
    probes(kubectl)
}

/// The server's answer describes the request, so the marker passes both ways.
fn ask(kubectl: &Kubectl, from: &str, marker: &str) -> Result<String> {
    let header = format!("x-marker: {marker}");
    let url = format!("http://server.{INSIDE}/");
    let curl = [
        "curl",
        "-sS",
        "--fail",
        "--max-time",
        "5",
        "-H",
        &header,
        &url,
    ];
    let answer = kubectl.text(
        &[
            &["-n", from, "exec", "deploy/client", "-c", "client", "--"],
            &curl[..],
        ]
        .concat(),
    )?;
    ensure!(answer.contains(marker), "it answers {answer}");
    Ok(answer)
}

/// From outside it is in plain sight, which shows that the capture sees.
fn on_the_wire(kubectl: &Kubectl) -> Result<()> {
    for (from, secret) in [(OUTSIDE, false), (INSIDE, true)] {
        let marker = format!("marker-{from}-5fb8a2c1");
        eventually(SETTLING, || ask(kubectl, from, "warm-up"))?;
        let capture = Capture::start()?;
        for _ in 0..10 {
            ask(kubectl, from, &marker)?;
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

/// Each policy alone, in the order of precedence; then several, of which the nearest counts.
fn levels(kubectl: &Kubectl) -> Result<()> {
    let selector = json!({"matchLabels": {"app": "server"}});
    let mesh = |mode: &str| policy(SYSTEM, "default", json!({"mtls": {"mode": mode}}));
    let namespace = |mode: &str| policy(INSIDE, "default", json!({"mtls": {"mode": mode}}));
    let workload = |mode: &str| {
        policy(
            INSIDE,
            "server",
            json!({"selector": selector, "mtls": {"mode": mode}}),
        )
    };
    let port = |whole: &str, mode: &str| {
        policy(
            INSIDE,
            "server",
            json!({"selector": selector, "mtls": {"mode": whole},
            "portLevelMtls": {"80": {"mode": mode}}}),
        )
    };
    for (what, policies, served) in [
        ("no policy", vec![], true),
        ("mesh STRICT", vec![mesh("STRICT")], false),
        ("mesh PERMISSIVE", vec![mesh("PERMISSIVE")], true),
        ("namespace STRICT", vec![namespace("STRICT")], false),
        ("workload STRICT", vec![workload("STRICT")], false),
        ("port STRICT", vec![port("PERMISSIVE", "STRICT")], false),
        (
            "mesh STRICT, namespace PERMISSIVE",
            vec![mesh("STRICT"), namespace("PERMISSIVE")],
            true,
        ),
        (
            "namespace STRICT, workload PERMISSIVE",
            vec![namespace("STRICT"), workload("PERMISSIVE")],
            true,
        ),
        ("mesh DISABLE", vec![mesh("DISABLE")], true),
        (
            "mesh STRICT, namespace DISABLE",
            vec![mesh("STRICT"), namespace("DISABLE")],
            true,
        ),
        (
            "namespace STRICT, workload UNSET",
            vec![namespace("STRICT"), workload("UNSET")],
            false,
        ),
        (
            "workload STRICT, port DISABLE",
            vec![port("STRICT", "DISABLE")],
            true,
        ),
        (
            "workload STRICT, port PERMISSIVE",
            vec![port("STRICT", "PERMISSIVE")],
            true,
        ),
    ] {
        kubectl
            .apply(&json!({"apiVersion": "v1", "kind": "List", "items": policies}))
            .or_else(|error| {
                if policies.is_empty() {
                    Ok(())
                } else {
                    Err(error)
                }
            })?;
        let from_outside = || {
            let answer = ask(kubectl, OUTSIDE, "level");
            ensure!(answer.is_ok() == served, "{what}: from outside {answer:?}");
            Ok(())
        };
        eventually(SETTLING, from_outside)?;
        ask(kubectl, INSIDE, "level")
            .map_err(|error| error.context(format!("{what}: from inside")))?;
        for namespace in [SYSTEM, INSIDE] {
            kubectl.text(&["-n", namespace, "delete", "peerauthentication", "--all"])?;
        }
    }
    println!(
        "  PeerAuthentication at mesh, namespace, workload and port: PERMISSIVE and DISABLE serve, STRICT refuses who is outside"
    );
    Ok(())
}

fn policy(namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

/// A server that starts under STRICT is ready, and stays so: kubelet has no certificate.
fn probes(kubectl: &Kubectl) -> Result<()> {
    kubectl.apply(&policy(
        SYSTEM,
        "default",
        json!({"mtls": {"mode": "STRICT"}}),
    ))?;
    kubectl.text(&["-n", INSIDE, "rollout", "restart", "deployment/server"])?;
    kubectl.rolled_out(INSIDE, "server")?;
    std::thread::sleep(Duration::from_secs(5));
    let pods = kubectl.json(&["-n", INSIDE, "get", "pods", "-l", "app=server"])?;
    for pod in pods["items"].as_array().into_iter().flatten() {
        for status in pod["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten()
        {
            ensure!(
                status["restartCount"] == 0
                    && (status["ready"] == true || !pod["metadata"]["deletionTimestamp"].is_null()),
                "{status}"
            );
        }
    }
    println!("  startup, readiness and liveness probes pass under STRICT");
    Ok(())
}
