//! The injector is away: pods that it would inject are refused in clear words, all others are let in; when it is back, what
//! waited is injected.

use super::{
    Form,
    mesh::{Mesh, SYSTEM},
};
use crate::{
    cluster::{Cluster, Namespace},
    kubectl::{Kubectl, eventually},
};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

const PEER: &str = include_str!("../../manifests/curl-anywhere.yaml");
const INSIDE: &str = "inside";
const OUTSIDE: &str = "outside";
const INJECTOR: &str = "istio-sidecar-injector";

/// Plays it.
pub(crate) fn play(cluster: &dyn Cluster, _: &Form) -> Result<()> {
    let kubectl = cluster.kubectl();
    let _mesh = Mesh::install(cluster, &[])?;
    let _inside = Namespace::injected(kubectl, INSIDE)?;
    let _outside = Namespace::new(kubectl, OUTSIDE)?;
    scale(kubectl, "0")?;
    let gone = [
        "-n",
        SYSTEM,
        "wait",
        "pod",
        "-l",
        "app=sidecar-injector",
        "--for=delete",
        "--timeout=60s",
    ];
    kubectl.text(&gone)?;

    let manifest = cluster.manifest(PEER);
    for namespace in [INSIDE, OUTSIDE] {
        kubectl.apply_text(&manifest, &["-n", namespace])?;
    }
    kubectl.rolled_out(OUTSIDE, "client")?;
    println!("  a namespace without the label is not affected");
    let refused = eventually(Duration::from_secs(30), || {
        let message =
            "jsonpath={.items[*].status.conditions[?(@.type==\"ReplicaFailure\")].message}";
        let message = kubectl.text(&["-n", INSIDE, "get", "replicasets", "-o", message])?;
        ensure!(message.contains("sidecar-injector"), "it says `{message}`");
        Ok(message)
    })?;
    ensure!(
        kubectl.pods(INSIDE, "app=client")?.is_empty(),
        "a pod was let in"
    );
    println!("  one with it: {refused}");
    // Admission is asked for what is only tried, too, and nothing of anybody's is touched.
    let system = [
        "-n",
        "kube-system",
        "run",
        "tried",
        "--image=tried",
        "--dry-run=server",
    ];
    kubectl.text(&system)?;
    println!("  the cluster's own pods are not affected");
    let part = "deployment/istiod";
    kubectl.text(&["-n", SYSTEM, "rollout", "restart", part])?;
    kubectl.rolled_out(SYSTEM, "istiod")?;
    println!("  the control plane itself restarts");

    scale(kubectl, "2")?;
    kubectl.rolled_out(SYSTEM, INJECTOR)?;
    // The controller has waited longer each time; a change has it look again.
    kubectl.text(&["-n", INSIDE, "rollout", "restart", "deployment/client"])?;
    kubectl.rolled_out(INSIDE, "client")?;
    let pods = kubectl.json(&["-n", INSIDE, "get", "pods", "-l", "app=client"])?;
    let pods = pods["items"].as_array().context("a list")?;
    let injected = |pod: &serde_json::Value| {
        let all = pod["spec"]["initContainers"]
            .as_array()
            .into_iter()
            .flatten();
        all.filter(|container| container["name"] == "istio-proxy")
            .count()
    };
    ensure!(
        !pods.is_empty() && pods.iter().all(|pod| injected(pod) == 1),
        "pods are {pods:?}"
    );
    println!("  when it is back, pods come with one sidecar each");
    Ok(())
}

fn scale(kubectl: &Kubectl, replicas: &str) -> Result<()> {
    let replicas = format!("--replicas={replicas}");
    let target = format!("deployment/{INJECTOR}");
    kubectl
        .text(&["-n", SYSTEM, "scale", &target, &replicas])
        .map(drop)
}
