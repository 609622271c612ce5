//! The cluster itself works: an unmodified manifest is pulled, runs, is found by its name and answers, and what people
//! do to pods by kubectl works.

use super::Form;
use crate::{
    cluster::{Cluster, Namespace},
    kubectl::{DELETED_WITHIN, Kubectl, eventually},
};
use anyhow::{Context, Result, ensure};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

const NGINX: &str = include_str!("../../manifests/nginx.yaml");
const CLIENT_POD: &str = include_str!("../../manifests/curl.yaml");
const NAMESPACE: &str = "test";
const WELCOME: &str = "Welcome to nginx!";
/// Rules and names take a moment to reach every part of a cluster.
const SETTLING: Duration = Duration::from_secs(15);

/// Plays it.
pub(crate) fn play(cluster: &dyn Cluster, _: &Form) -> Result<()> {
    let kubectl = cluster.kubectl();
    nodes_are_ready(kubectl)?;
    let namespace = Namespace::new(kubectl, NAMESPACE)?;
    eventually(SETTLING, || kubectl.apply_text(NGINX, &[]))?;
    let client = cluster.manifest(CLIENT_POD);
    kubectl.apply_text(&client, &[])?;
    kubectl.rolled_out(&namespace.name, "nginx")?;
    kubectl.rolled_out(&namespace.name, "test")?;
    println!("  nginx and a client run");
    by_name(kubectl)?;
    println!("  names of Services resolve, and lead to it");
    the_api(kubectl)?;
    println!("  pods reach the API server");
    logs(kubectl)?;
    forward(kubectl)?;
    println!("  exec, logs, port-forward");
    replace(kubectl)?;
    println!("  a deleted pod ends and is replaced");
    Ok(())
}

fn nodes_are_ready(kubectl: &Kubectl) -> Result<()> {
    let nodes = kubectl.json(&["get", "nodes"])?;
    let nodes = nodes["items"].as_array().context("a list")?;
    ensure!(!nodes.is_empty(), "there is no node");
    for node in nodes {
        let mut conditions = node["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        let ready = conditions.find(|condition| condition["type"] == "Ready");
        ensure!(
            ready.is_some_and(|ready| ready["status"] == "True"),
            "node {} says {ready:?}",
            node["metadata"]["name"]
        );
    }
    Ok(())
}

fn replace(kubectl: &Kubectl) -> Result<()> {
    let old = kubectl.pods(NAMESPACE, "app=nginx")?;
    let delete = ["delete", "pod", "-l", "app=nginx", DELETED_WITHIN];
    kubectl.text(&[&["-n", NAMESPACE], &delete[..]].concat())?;
    kubectl.rolled_out(NAMESPACE, "nginx")?;
    let new = kubectl.pods(NAMESPACE, "app=nginx")?;
    ensure!(
        new.len() == 1 && !old.contains(&new[0]),
        "{old:?} were deleted, now there are {new:?}"
    );
    eventually(SETTLING, || curl(kubectl, &["http://nginx.test/"])).map(drop)
}

fn curl(kubectl: &Kubectl, arguments: &[&str]) -> Result<String> {
    let command = [&["curl", "-sS", "--max-time", "5"], arguments].concat();
    kubectl.exec(NAMESPACE, "deploy/test", &command)
}

fn by_name(kubectl: &Kubectl) -> Result<()> {
    for name in [
        "nginx",
        "nginx.test",
        "nginx.test.svc",
        "nginx.test.svc.cluster.local",
    ] {
        let url = format!("http://{name}/");
        let page = eventually(SETTLING, || curl(kubectl, &[&url]))?;
        ensure!(page.contains(WELCOME), "{url} answers {page}");
    }
    let unknown = curl(kubectl, &["http://unknown.test/"]);
    let why = unknown.err().context("an unknown name resolves")?;
    ensure!(
        format!("{why:#}").contains("resolve"),
        "an unknown name: {why:#}"
    );
    Ok(())
}

/// Without a credential it answers all the same, if only that it wants one.
fn the_api(kubectl: &Kubectl) -> Result<()> {
    let code = ["-k", "-o", "/dev/null", "-w", "%{http_code}"];
    let url = ["https://kubernetes.default.svc/version"];
    let code = curl(kubectl, &[&code[..], &url[..]].concat())?;
    ensure!(
        ["200", "401", "403"].contains(&code.as_str()),
        "it answers {code}"
    );
    Ok(())
}

fn logs(kubectl: &Kubectl) -> Result<()> {
    curl(kubectl, &["http://nginx.test/seen-in-the-log"])?;
    eventually(SETTLING, || {
        let log = kubectl.text(&["-n", NAMESPACE, "logs", "deploy/nginx"])?;
        ensure!(log.contains("GET /seen-in-the-log"), "nginx logs: {log}");
        Ok(())
    })
}

fn forward(kubectl: &Kubectl) -> Result<()> {
    let forward = kubectl.forward(NAMESPACE, "deploy/nginx", 80)?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, forward.local))?;
    stream.set_read_timeout(Some(SETTLING))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    ensure!(
        answer.contains(WELCOME),
        "the forwarded port answers {answer}"
    );
    Ok(())
}
