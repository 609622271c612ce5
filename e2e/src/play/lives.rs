//! Lives of pods: a Job ends with its sidecar, native or classic; init containers have the network in both orders; each pod
//! of a StatefulSet is reached by its name.

use super::{Form, mesh::Mesh};
use crate::{
    cluster::{Cluster, Namespace},
    kubectl::{Kubectl, SETTLING, eventually},
};
use anyhow::{Context, Result, ensure};
use std::time::Instant;

const SERVER: &str = include_str!("../../manifests/policy.yaml");
const PEER: &str = include_str!("../../manifests/curl-anywhere.yaml");
const STATEFUL: &str = include_str!("../../manifests/lives.yaml");
const JOB: &str = include_str!("../../manifests/job.yaml");
const NAMESPACE: &str = "lives";

/// Plays it.
pub(crate) fn play(cluster: &dyn Cluster, _: &Form) -> Result<()> {
    let kubectl = cluster.kubectl();
    let _mesh = Mesh::install(cluster, &[])?;
    let _namespace = Namespace::injected(kubectl, NAMESPACE)?;
    for manifest in [SERVER, PEER, STATEFUL] {
        let manifest = cluster.manifest(manifest);
        kubectl.apply_text(&manifest, &["-n", NAMESPACE])?;
    }
    for target in ["deployment/server", "deployment/client", "statefulset/web"] {
        let status = [
            "-n",
            NAMESPACE,
            "rollout",
            "status",
            target,
            "--timeout=120s",
        ];
        kubectl.text(&status)?;
    }
    pod_by_pod(kubectl)?;
    jobs(cluster)
}

/// Over mutual TLS: the server's proxy tells its application whose certificate it has seen.
fn pod_by_pod(kubectl: &Kubectl) -> Result<()> {
    for pod in ["web-0", "web-1"] {
        for host in [
            format!("{pod}.web"),
            format!("{pod}.web.{NAMESPACE}.svc.cluster.local"),
        ] {
            let url = format!("http://{host}/");
            let curl = ["curl", "-sS", "--fail", "--max-time", "5", &url];
            let exec = [
                "-n",
                NAMESPACE,
                "exec",
                "deploy/client",
                "-c",
                "client",
                "--",
            ];
            eventually(SETTLING, || {
                let answer = kubectl.text(&[&exec[..], &curl[..]].concat())?;
                let mut lines = answer.lines();
                ensure!(lines.next() == Some(pod), "{url} answers {answer}");
                ensure!(
                    lines.any(|line| line.starts_with("x-forwarded-client-cert: ")),
                    "{url} is not encrypted: {answer}"
                );
                Ok(())
            })?;
        }
    }
    println!("  each pod of a StatefulSet answers to its name, over mutual TLS");
    Ok(())
}

/// A classic sidecar is told by the Job that its work is done; a native one needs no word.
fn jobs(cluster: &dyn Cluster) -> Result<()> {
    let kubectl = cluster.kubectl();
    let quit = "curl -sS --fail -X POST http://localhost:15020/quitquitquit";
    for (name, native, last) in [("native", "true", "true"), ("classic", "false", quit)] {
        let job = JOB
            .replace("NAME", name)
            .replace("NATIVE", native)
            .replace("LAST", last);
        let job = cluster.manifest(&job);
        let start = Instant::now();
        kubectl.apply_text(&job, &["-n", NAMESPACE])?;
        let target = format!("job/{name}");
        let wait = [
            "-n",
            NAMESPACE,
            "wait",
            &target,
            "--for=condition=Complete",
            "--timeout=90s",
        ];
        kubectl.text(&wait).map_err(|error| {
            let pods = [
                "-n",
                NAMESPACE,
                "describe",
                "pods",
                "-l",
                &format!("app={name}"),
            ];
            error.context(kubectl.text(&pods).unwrap_or_default())
        })?;
        let after = lag(kubectl, name)?;
        println!(
            "  a Job with a {name} sidecar, whose init container uses the network, is complete after {:.1} s; its sidecar ended {after} s after it",
            start.elapsed().as_secs_f32()
        );
        // Kubernetes counts whole seconds.
        ensure!(after <= 2, "the sidecar ends {after} s after the work");
    }
    Ok(())
}

/// Seconds, as Kubernetes counts them, between the end of the work and that of the sidecar.
fn lag(kubectl: &Kubectl, name: &str) -> Result<i64> {
    let label = format!("app={name}");
    let pods = kubectl.json(&["-n", NAMESPACE, "get", "pods", "-l", &label])?;
    let status = &pods["items"][0]["status"];
    let all = ["containerStatuses", "initContainerStatuses"]
        .iter()
        .flat_map(|list| status[list].as_array().into_iter().flatten());
    let ended = |wanted: &str| {
        let mut all = all.clone();
        let container = all.find(|status| status["name"] == wanted);
        let at = container.and_then(|c| c["state"]["terminated"]["finishedAt"].as_str());
        at.with_context(|| format!("{wanted} has not ended: {status}"))?
            .parse::<jiff::Timestamp>()
            .context("finishedAt")
    };
    Ok(ended("istio-proxy")?.as_second() - ended("work")?.as_second())
}
