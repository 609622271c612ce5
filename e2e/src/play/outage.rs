//! The API server is down: what runs goes on, names of Services resolve and lead to it, and when it is back nobody has
//! to be started again.

use super::{Form, pod};
use crate::{
    cluster::{Cluster, Namespace},
    kubectl::eventually,
};
use anyhow::{Context, Result, ensure};
use std::{
    thread,
    time::{Duration, Instant},
};

const NGINX: &str = include_str!("../../manifests/nginx.yaml");
const CLIENT_POD: &str = include_str!("../../manifests/curl.yaml");
const NAMESPACE: &str = "test";
/// Time between requests.
const PACE: Duration = Duration::from_millis(200);
/// How long parts may take to find the API server again.
const PATIENCE: Duration = Duration::from_secs(90);

/// Plays it: 5 s in the short form, 60 s in the long one.
pub(crate) fn play(cluster: &dyn Cluster, form: &Form) -> Result<()> {
    let length = Duration::from_secs(if form.long { 60 } else { 5 });
    let kubectl = cluster.kubectl();
    let namespace = Namespace::new(kubectl, NAMESPACE)?;
    kubectl.apply_text(NGINX, &[])?;
    kubectl.apply_text(&cluster.manifest(CLIENT_POD), &[])?;
    kubectl.rolled_out(&namespace.name, "nginx")?;
    kubectl.rolled_out(&namespace.name, "test")?;
    let pid = pod::process(cluster, NAMESPACE, "app=test")?.context("a node of ours")?;
    // Not by kubectl, which would need the API server.
    let ask = || {
        let curl = ["curl", "-sS", "--max-time", "2", "http://nginx.test/"];
        pod::enter(cluster, &pid, &["-n", "-m"], &curl)
    };
    eventually(PATIENCE, ask)?;
    cluster.api_server(false)?;
    let answered = answered_for(length, ask);
    cluster.api_server(true)?;
    println!(
        "  {} requests were answered while it was down for {length:?}",
        answered?
    );
    kubectl.text(&["-n", NAMESPACE, "scale", "deploy/nginx", "--replicas=2"])?;
    kubectl.rolled_out(&namespace.name, "nginx")?;
    println!("  when it is back the controllers, the scheduler and kubelet go on");
    Ok(())
}

fn answered_for(length: Duration, ask: impl Fn() -> Result<String>) -> Result<u32> {
    let start = Instant::now();
    let mut answered = 0;
    while start.elapsed() < length {
        let page = ask().with_context(|| format!("after {:?}", start.elapsed()))?;
        ensure!(page.contains("Welcome to nginx!"), "it answers {page}");
        answered += 1;
        thread::sleep(PACE);
    }
    Ok(answered)
}
