//! An installation away again.
//!
//! Without `--purge` only what belongs to one revision goes: the certificate authority, the definitions and the namespace
//! stay, and with them the identities and the configuration of every workload. Webhooks go first, so that no pod is refused
//! because nobody answers.

use std::time::{Duration, Instant};

use kube::api::{DeleteParams, ListParams, PropagationPolicy};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::apply::{api, name};
use super::manifest::{MANAGED, REVISION};
use crate::fetch::{ClusterError, resource};

/// Longest wait for a namespace to be gone.
const PATIENCE: Duration = Duration::from_secs(120);
const INTERVAL: Duration = Duration::from_secs(1);

/// Group, version, kind, plural; in the order in which they go. The rights go before what the control plane has made with
/// them, so that it makes nothing anew while it ends.
const KINDS: [(&str, &str, &str, &str, Scope); 12] = [
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        Scope::Cluster,
    ),
    ("apps", "v1", "Deployment", "deployments", Scope::Own),
    ("", "v1", "Service", "services", Scope::Own),
    (
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        Scope::Own,
    ),
    ("", "v1", "ConfigMap", "configmaps", Scope::Own),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "RoleBinding",
        "rolebindings",
        Scope::Own,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "Role",
        "roles",
        Scope::Own,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        Scope::Cluster,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRole",
        "clusterroles",
        Scope::Cluster,
    ),
    ("", "v1", "ServiceAccount", "serviceaccounts", Scope::Own),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        Scope::Purge,
    ),
    ("", "v1", "Namespace", "namespaces", Scope::Purge),
];

#[derive(Clone, Copy, PartialEq)]
enum Scope {
    /// Of the whole cluster.
    Cluster,
    /// In our namespace.
    Own,
    /// Of the whole cluster, shared by revisions.
    Purge,
}

/// Deletes what `meshctl install` has put there, and gives the names of what went. `revision` limits it to one; `None` purges.
///
/// # Errors
/// If the API server refuses.
pub(crate) async fn remove(
    client: &Client,
    namespace: &str,
    revision: Option<&str>,
    dry_run: bool,
) -> Result<Vec<String>, ClusterError> {
    let mut gone = Vec::new();
    let mut labels = format!("{}={}", MANAGED.0, MANAGED.1);
    if let Some(revision) = revision {
        labels = format!("{labels},{REVISION}={revision}");
    }
    for (group, version, kind, plural, scope) in KINDS {
        if scope == Scope::Purge && revision.is_some() {
            continue;
        }
        if kind == "Namespace" {
            gone.extend(leftovers(client, namespace, dry_run).await?);
        }
        let resource = resource(group, version, kind, plural);
        let api: Api<DynamicObject> = match scope {
            Scope::Own => Api::namespaced_with(client.clone(), namespace, &resource),
            Scope::Cluster | Scope::Purge => Api::all_with(client.clone(), &resource),
        };
        for object in api
            .list(&ListParams::default().labels(&labels))
            .await?
            .items
        {
            let name = object.metadata.name.unwrap_or_default();
            if belongs(kind, &name, &object.data, namespace) && delete(&api, &name, dry_run).await?
            {
                gone.push(format!("{kind}/{name}"));
            }
        }
    }
    if revision.is_none() && !dry_run {
        await_end(client, namespace).await?;
    }
    Ok(gone)
}

/// Another namespace's installation has objects of the whole cluster, too.
fn belongs(kind: &str, name: &str, data: &Value, namespace: &str) -> bool {
    match kind {
        "Namespace" => name == namespace,
        "ClusterRole" | "ClusterRoleBinding" => name.ends_with(&format!("-{namespace}")),
        "MutatingWebhookConfiguration" => {
            let of = data.pointer("/webhooks/0/clientConfig/service/namespace");
            of.and_then(Value::as_str) == Some(namespace)
        }
        _ => true,
    }
}

/// What the running control plane has made.
async fn leftovers(
    client: &Client,
    namespace: &str,
    dry_run: bool,
) -> Result<Vec<String>, ClusterError> {
    let mut gone = Vec::new();
    let own = [
        ("v1", "Secret", "istio-ca-secret"),
        ("coordination.k8s.io/v1", "Lease", "mesh-discovery"),
    ];
    for (version, kind, own) in own {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": own, "namespace": namespace}});
        if delete(&api(client, &object), own, dry_run).await? {
            gone.push(name(&object));
        }
    }
    let maps: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &resource("", "v1", "ConfigMap", "configmaps"),
    );
    let roots = "istio-ca-root-cert";
    let params = ListParams::default().fields(&format!("metadata.name={roots}"));
    for map in maps.list(&params).await?.items {
        let of = map.metadata.namespace.unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(
            client.clone(),
            &of,
            &resource("", "v1", "ConfigMap", "configmaps"),
        );
        if delete(&api, roots, dry_run).await? {
            gone.push(format!("ConfigMap/{roots} of {of}"));
        }
    }
    Ok(gone)
}

/// False if it was not there.
async fn delete(api: &Api<DynamicObject>, name: &str, dry_run: bool) -> Result<bool, ClusterError> {
    let params = DeleteParams {
        dry_run,
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    match api.delete(name, &params).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn await_end(client: &Client, namespace: &str) -> Result<(), ClusterError> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let api = api(client, &object);
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        match api.get_opt(namespace).await? {
            Some(found) if found.metadata.deletion_timestamp.is_some() => {
                tokio::time::sleep(INTERVAL).await;
            }
            _ => return Ok(()),
        }
    }
    eprintln!("warning: namespace {namespace} is still ending");
    Ok(())
}
