//! Which workload a pod belongs to: the name under which metrics and traces show it.

use std::collections::BTreeMap;

use mesh_api::k8s::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The workload that creates a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name; empty for a pod that has neither name nor owner yet.
    pub name: String,
    /// Its kind, such as `Deployment`.
    pub kind: String,
    /// Its group and version, such as `apps/v1`.
    pub api_version: String,
}

impl Workload {
    /// The workload of a pod that is created by the API server, by its controller: a `ReplicaSet` or a `Job` that
    /// itself has an owner counts as that owner, which is read off the names.
    #[must_use]
    pub fn of_pod(meta: &ObjectMeta) -> Self {
        let owners = meta.owner_references.iter().flatten();
        match owners.clone().find(|owner| owner.controller == Some(true)) {
            Some(owner) => Self::of_controller(owner, meta.labels.as_ref()),
            None => Self::new("v1", "Pod", pod_name(meta)),
        }
    }

    pub(crate) fn new(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            api_version: api_version.to_owned(),
        }
    }

    fn of_controller(owner: &OwnerReference, labels: Option<&BTreeMap<String, String>>) -> Self {
        let label = |name| {
            labels
                .and_then(|labels| labels.get(name))
                .map(String::as_str)
        };
        let parent = match owner.kind.as_str() {
            "ReplicaSet" => without_hash(&owner.name, label("pod-template-hash"))
                .map(|name| Self::new("apps/v1", "Deployment", name))
                .or_else(|| {
                    without_hash(&owner.name, label("rollouts-pod-template-hash"))
                        .map(|name| Self::new("argoproj.io/v1alpha1", "Rollout", name))
                }),
            "ReplicationController" => label("deploymentconfig")
                .map(|name| Self::new("apps.openshift.io/v1", "DeploymentConfig", name)),
            "Job" => without_minute(&owner.name).map(|name| Self::new("batch/v1", "CronJob", name)),
            _ => None,
        };
        parent.unwrap_or_else(|| Self::new(&owner.api_version, &owner.kind, &owner.name))
    }

    /// The form of `ISTIO_META_OWNER`.
    #[must_use]
    pub fn uri(&self, namespace: &str) -> String {
        let plural = self.kind.to_lowercase();
        format!(
            "kubernetes://apis/{}/namespaces/{namespace}/{plural}s/{}",
            self.api_version, self.name
        )
    }
}

/// A pod's name, or what it is generated from.
fn pod_name(meta: &ObjectMeta) -> &str {
    let generated = || {
        meta.generate_name
            .as_deref()
            .map(|name| name.trim_end_matches('-'))
    };
    meta.name
        .as_deref()
        .filter(|name| !name.is_empty())
        .or_else(generated)
        .unwrap_or_default()
}

/// `nginx` for the ReplicaSet `nginx-7c79c4bf97` and the hash `7c79c4bf97`.
fn without_hash<'a>(name: &'a str, hash: Option<&str>) -> Option<&'a str> {
    name.strip_suffix(hash?)?
        .strip_suffix('-')
        .filter(|name| !name.is_empty())
}

/// `backup` for the Job `backup-28593840`: a CronJob names its jobs by the minute they are due.
fn without_minute(name: &str) -> Option<&str> {
    let (name, minute) = name.rsplit_once('-')?;
    let is_minute = minute.len() >= 8 && minute.bytes().all(|b| b.is_ascii_digit());
    (is_minute && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn uri(meta: serde_json::Value) -> String {
        Workload::of_pod(&serde_json::from_value(meta).unwrap()).uri("test")
    }

    fn owned(kind: &str, api_version: &str, name: &str, labels: serde_json::Value) -> String {
        let owner = json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": "u", "controller": true});
        uri(
            json!({"generateName": format!("{name}-"), "labels": labels, "ownerReferences": [owner]}),
        )
    }

    #[test]
    fn controllers_are_followed_to_the_workload_that_the_user_wrote() {
        let hash = json!({"pod-template-hash": "7c79c4bf97"});
        let rows = [
            (
                owned("ReplicaSet", "apps/v1", "nginx-7c79c4bf97", hash.clone()),
                "apps/v1/namespaces/test/deployments/nginx",
            ),
            (
                owned("ReplicaSet", "apps/v1", "nginx-other", hash),
                "apps/v1/namespaces/test/replicasets/nginx-other",
            ),
            (
                owned("ReplicaSet", "apps/v1", "nginx", json!({})),
                "apps/v1/namespaces/test/replicasets/nginx",
            ),
            (
                owned(
                    "ReplicaSet",
                    "apps/v1",
                    "web-5f",
                    json!({"rollouts-pod-template-hash": "5f"}),
                ),
                "argoproj.io/v1alpha1/namespaces/test/rollouts/web",
            ),
            (
                owned("StatefulSet", "apps/v1", "db", json!({})),
                "apps/v1/namespaces/test/statefulsets/db",
            ),
            (
                owned("Job", "batch/v1", "backup-28593840", json!({})),
                "batch/v1/namespaces/test/cronjobs/backup",
            ),
            (
                owned("Job", "batch/v1", "backup-2", json!({})),
                "batch/v1/namespaces/test/jobs/backup-2",
            ),
            (
                owned(
                    "ReplicationController",
                    "v1",
                    "a-1",
                    json!({"deploymentconfig": "a"}),
                ),
                "apps.openshift.io/v1/namespaces/test/deploymentconfigs/a",
            ),
        ];
        for (uri, expected) in rows {
            assert_eq!(uri, format!("kubernetes://apis/{expected}"));
        }
    }

    #[test]
    fn a_pod_without_controller_is_its_own_workload() {
        assert_eq!(
            uri(json!({"name": "test"})),
            "kubernetes://apis/v1/namespaces/test/pods/test"
        );
        assert_eq!(
            uri(json!({"generateName": "test-"})),
            "kubernetes://apis/v1/namespaces/test/pods/test"
        );
    }
}
