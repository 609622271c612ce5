//! A pod's process and namespaces, as they are seen on its node.

use super::Cluster;
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// The process of the first container of the pods with `label`, on the node; `None` where nodes are not to be touched.
///
/// As a person finds it: from the pod's status to the container, from there to its process.
pub(crate) fn process(
    cluster: &dyn Cluster,
    namespace: &str,
    label: &str,
) -> Result<Option<String>> {
    let Some(mut ctr) = cluster.on_node("ctr") else {
        return Ok(None);
    };
    let id = "jsonpath={.items[0].status.containerStatuses[0].containerID}";
    let id = cluster
        .kubectl()
        .text(&["-n", namespace, "get", "pods", "-l", label, "-o", id])?;
    let id = id
        .strip_prefix("containerd://")
        .context("a container of containerd")?;
    let tasks = output(ctr.args(["-n", "k8s.io", "tasks", "list"]))?;
    let mut tasks = tasks.lines().map(str::split_whitespace);
    let process = tasks.find_map(|mut task| (task.next() == Some(id)).then(|| task.next()));
    let process = process.flatten().context("no task of that container")?;
    Ok(Some(process.to_owned()))
}

/// What a command prints in namespaces of process `pid` on the node: `-n` the network, `-m` the files.
pub(crate) fn enter(
    cluster: &dyn Cluster,
    pid: &str,
    namespaces: &[&str],
    command: &[&str],
) -> Result<String> {
    let mut nsenter = cluster.on_node("nsenter").context("a node")?;
    nsenter
        .args(["-t", pid])
        .args(namespaces)
        .arg("--")
        .args(command);
    output(&mut nsenter)
}

/// What a command prints.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
