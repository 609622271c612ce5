//! Until the deployments are ready; who is not, and why, in words of the pods themselves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::api::ListParams;
use kube::{Api, Client};
use mesh_api::k8s::api::apps::v1::Deployment;
use mesh_api::k8s::api::core::v1::{ContainerStatus, Event, Pod};

use crate::fetch::{ClusterError, is_ready};

const INTERVAL: Duration = Duration::from_secs(1);

/// What was still missing when time was over, by deployment.
pub(crate) type Missing = BTreeMap<String, String>;

/// Waits until all of `deployments` are ready, telling what changes; at most `patience`.
///
/// # Errors
/// If the API server does not answer.
pub(crate) async fn ready(
    client: &Client,
    namespace: &str,
    deployments: &[String],
    patience: Duration,
) -> Result<Missing, ClusterError> {
    let begin = Instant::now();
    let mut said = Missing::new();
    loop {
        let mut missing = Missing::new();
        for name in deployments {
            if let Some(why) = unready(client, namespace, name).await? {
                if said.get(name) != Some(&why) {
                    eprintln!("waiting for deployment {name}: {why}");
                }
                missing.insert(name.clone(), why);
            } else if said.contains_key(name) {
                eprintln!("deployment {name} is ready");
            }
        }
        if missing.is_empty() || begin.elapsed() >= patience {
            return Ok(missing);
        }
        said = missing;
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Why a deployment is not ready; `None` if it is.
async fn unready(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<String>, ClusterError> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let Some(deployment) = api.get_opt(name).await? else {
        return Ok(Some("it does not exist".into()));
    };
    let Some(progress) = progress(&deployment) else {
        return Ok(None);
    };
    let pods = pods(client, namespace, &deployment).await?;
    let mut why = pods.iter().find_map(reason_of_pod);
    if why.is_none() {
        why = replica_failure(&deployment);
    }
    if why.is_none() {
        why = event(client, namespace, &pods).await?;
    }
    Ok(Some(match why {
        Some(why) => format!("{progress}: {why}"),
        None => progress,
    }))
}

/// `1 of 2 pods are ready`; `None` if all are, and are the newest.
fn progress(deployment: &Deployment) -> Option<String> {
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let seen = status.observed_generation >= deployment.metadata.generation;
    let updated = status.updated_replicas.unwrap_or(0);
    let available = status.available_replicas.unwrap_or(0);
    let old = status.replicas.unwrap_or(0) - updated;
    let done = seen && updated >= wanted && available >= wanted && old <= 0;
    (!done).then(|| {
        let ready = available.min(updated);
        format!("{ready} of {wanted} pods are ready")
    })
}

async fn pods(
    client: &Client,
    namespace: &str,
    deployment: &Deployment,
) -> Result<Vec<Pod>, ClusterError> {
    let labels = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.as_ref());
    let pairs = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"));
    let selector = pairs.collect::<Vec<_>>().join(",");
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    Ok(api
        .list(&ListParams::default().labels(&selector))
        .await?
        .items)
}

fn reason_of_pod(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let conditions = status.conditions.iter().flatten();
    let unscheduled = conditions
        .clone()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled {
        let message = condition.message.as_deref().unwrap_or("no reason is given");
        return Some(format!("pod {name} finds no node: {message}"));
    }
    let containers = status.init_container_statuses.iter().flatten();
    let containers = containers.chain(status.container_statuses.iter().flatten());
    let why = containers
        .filter(|container| !container.ready)
        .find_map(reason_of_container)?;
    Some(format!("pod {name}: {why}"))
}

fn reason_of_container(container: &ContainerStatus) -> Option<String> {
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let state = container.state.as_ref()?;
    let waiting = state.waiting.as_ref().filter(|waiting| {
        !matches!(
            waiting.reason.as_deref(),
            Some("ContainerCreating" | "PodInitializing")
        )
    });
    let name = &container.name;
    if let Some(waiting) = waiting {
        let reason = waiting.reason.as_deref().unwrap_or("waiting");
        let message = waiting.message.as_deref().unwrap_or_default();
        let exit = last.map_or_else(String::new, |last| {
            format!(", exit code {}", last.exit_code)
        });
        return Some(format!("container {name}: {reason}{exit}: {message}"));
    }
    let ended = state.terminated.as_ref()?;
    let reason = ended.reason.as_deref().unwrap_or("ended");
    Some(format!(
        "container {name}: {reason}, exit code {}",
        ended.exit_code
    ))
}

fn replica_failure(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions
        .iter()
        .find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")?;
    failure.message.clone()
}

/// The last warning of a pod that is not ready: a failed probe says what is missing.
async fn event(
    client: &Client,
    namespace: &str,
    pods: &[Pod],
) -> Result<Option<String>, ClusterError> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    for pod in pods.iter().filter(|pod| !is_ready(pod)) {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let fields = format!("involvedObject.name={name},type=Warning");
        let events = api.list(&ListParams::default().fields(&fields)).await?;
        let last = events
            .items
            .into_iter()
            .max_by_key(|event| event.last_timestamp.clone());
        if let Some(message) = last.and_then(|event| event.message) {
            return Ok(Some(format!("pod {name}: {}", message.trim())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_is_done_when_only_new_pods_are_left() {
        let row = |status: serde_json::Value| {
            let deployment = json!({"metadata": {"generation": 2}, "spec": {"replicas": 2, "selector": {}, "template": {}}, "status": status});
            progress(&serde_json::from_value(deployment).expect("a deployment"))
        };
        let done = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(row(done), None);
        let old = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert!(row(old).is_some());
        let both = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3});
        assert!(row(both).is_some());
        assert_eq!(row(json!({})).as_deref(), Some("0 of 2 pods are ready"));
    }

    #[test]
    fn a_pod_says_why_it_does_not_run() {
        let pod = |status: serde_json::Value| {
            let pod = json!({"metadata": {"name": "p"}, "status": status});
            reason_of_pod(&serde_json::from_value(pod).expect("a pod"))
        };
        let image = json!({"containerStatuses": [{"name": "c", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]});
        assert_eq!(
            pod(image).as_deref(),
            Some("pod p: container c: ErrImagePull: no such image")
        );
        let node = json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]});
        assert_eq!(pod(node).as_deref(), Some("pod p finds no node: 0/1 nodes"));
        let starting = json!({"containerStatuses": [{"name": "c", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": {"waiting": {"reason": "ContainerCreating"}}}]});
        assert_eq!(pod(starting), None);
    }
}
