//! An installation away again.
//!
//! Without `--purge` only what belongs to one revision goes: the certificate authority, the definitions and the namespace
//! stay, and with them the identities and the configuration of every workload. Webhooks go first, so that no pod is refused
//! because nobody answers.
//!
//! What is ours is known by its labels, which `super::ownership` keeps from what was there before.

use std::time::{Duration, Instant};

use kube::api::{DeleteParams, ListParams, PropagationPolicy};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::apply::{api, name};
use super::manifest::{INSTANCE, MANAGED, REVISION};
use super::ownership;
use crate::fetch::{ClusterError, resource};

/// The map of roots that the control plane writes into every namespace, under its own name as their manager.
const ROOTS: &str = "istio-ca-root-cert";
const CONTROL_PLANE: &str = "mesh-discovery";
/// Longest wait for definitions and the namespace to be gone.
const PATIENCE: Duration = Duration::from_secs(120);
const INTERVAL: Duration = Duration::from_secs(1);

/// Group, version, kind, plural.
type Kind = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Scope,
);

/// In the order in which they go. The rights go before what the control plane has made with
/// them, so that it makes nothing anew while it ends.
const KINDS: [Kind; 12] = [
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
    let mut run = Run::new(client, namespace, dry_run);
    let labels = labels(namespace, revision);
    if revision.is_some() {
        for kind in KINDS.iter().filter(|kind| kind.4 != Scope::Purge) {
            run.delete_all(kind, &labels, |_| true).await?;
        }
        return Ok(run.gone);
    }
    let others = ownership::other_control_planes(client, namespace).await?;
    for kind in &KINDS {
        match kind.2 {
            "CustomResourceDefinition" if !others.is_empty() => keep_definitions(&others),
            "CustomResourceDefinition" => {
                let of_all = format!("{}={}", MANAGED.0, MANAGED.1);
                run.delete_all(kind, &of_all, |_| true).await?;
            }
            "Namespace" => {
                run.leftovers(!others.is_empty()).await?;
                run.delete_all(kind, &labels, |name| name == namespace)
                    .await?;
            }
            _ => run.delete_all(kind, &labels, |_| true).await?,
        }
    }
    run.await_end().await?;
    Ok(run.gone)
}

/// Deletes what an earlier installation of `revision` has put there and `objects` lack: the webhook of a tag that is taken
/// away would refuse every pod of its namespaces.
///
/// # Errors
/// If the API server refuses.
pub(crate) async fn prune(
    client: &Client,
    namespace: &str,
    revision: &str,
    objects: &[Value],
    dry_run: bool,
) -> Result<Vec<String>, ClusterError> {
    let mut run = Run::new(client, namespace, dry_run);
    let labels = labels(namespace, Some(revision));
    for kind in KINDS.iter().filter(|kind| kind.4 != Scope::Purge) {
        let is_wanted = |name: &str| {
            let mut of_kind = objects.iter().filter(|object| object["kind"] == kind.2);
            of_kind.any(|object| object["metadata"]["name"] == name)
        };
        run.delete_all(kind, &labels, |name| !is_wanted(name))
            .await?;
    }
    Ok(run.gone)
}

/// What all objects of an installation bear.
fn labels(namespace: &str, revision: Option<&str>) -> String {
    let mut labels = format!("{}={},{INSTANCE}={namespace}", MANAGED.0, MANAGED.1);
    if let Some(revision) = revision {
        labels = format!("{labels},{REVISION}={revision}");
    }
    labels
}

fn keep_definitions(others: &[ownership::ControlPlane]) {
    let places: Vec<_> = others
        .iter()
        .map(|other| other.namespace.as_str())
        .collect();
    let places = places.join(", ");
    eprintln!(
        "note: the definitions stay, because there are control planes that use them: {places}"
    );
}

/// A removal under way.
struct Run<'a> {
    client: &'a Client,
    namespace: &'a str,
    dry_run: bool,
    gone: Vec<String>,
    /// What takes a while to be gone: it waits for what it holds.
    ending: Vec<(Api<DynamicObject>, String)>,
}

impl<'a> Run<'a> {
    fn new(client: &'a Client, namespace: &'a str, dry_run: bool) -> Self {
        Self {
            client,
            namespace,
            dry_run,
            gone: Vec::new(),
            ending: Vec::new(),
        }
    }

    /// Deletes the objects of a kind that bear `labels` and whose name is `chosen`.
    async fn delete_all(
        &mut self,
        &(group, version, kind, plural, scope): &Kind,
        labels: &str,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<(), ClusterError> {
        let resource = resource(group, version, kind, plural);
        let api: Api<DynamicObject> = match scope {
            Scope::Own => Api::namespaced_with(self.client.clone(), self.namespace, &resource),
            Scope::Cluster | Scope::Purge => Api::all_with(self.client.clone(), &resource),
        };
        let all = api.list(&ListParams::default().labels(labels)).await?;
        for object in all.items {
            let name = object.metadata.name.unwrap_or_default();
            if chosen(&name) && delete(&api, &name, self.dry_run).await? {
                self.gone.push(format!("{kind}/{name}"));
                if scope == Scope::Purge {
                    self.ending.push((api.clone(), name));
                }
            }
        }
        Ok(())
    }

    /// What the running control plane has made.
    async fn leftovers(&mut self, there_are_others: bool) -> Result<(), ClusterError> {
        let own = [
            ("v1", "Secret", "istio-ca-secret"),
            ("coordination.k8s.io/v1", "Lease", "mesh-discovery"),
        ];
        let maps = resource("", "v1", "ConfigMap", "configmaps");
        let in_namespace =
            |of: &str| Api::<DynamicObject>::namespaced_with(self.client.clone(), of, &maps);
        let root = in_namespace(self.namespace).get_opt(ROOTS).await?;
        let root = root.map(|map| map.data["data"].clone());
        for (version, kind, own) in own {
            let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": own, "namespace": self.namespace}});
            if delete(&api(self.client, &object), own, self.dry_run).await? {
                self.gone.push(name(&object));
            }
        }
        let params = ListParams::default().fields(&format!("metadata.name={ROOTS}"));
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &maps);
        for map in all.list(&params).await?.items {
            let is_same = root.as_ref() == Some(&map.data["data"]);
            if !is_same && (there_are_others || !is_written_by_us(&map)) {
                continue;
            }
            let of = map.metadata.namespace.unwrap_or_default();
            let api = Api::namespaced_with(self.client.clone(), &of, &maps);
            if delete(&api, ROOTS, self.dry_run).await? {
                self.gone.push(format!("ConfigMap/{ROOTS} of {of}"));
            }
        }
        Ok(())
    }

    /// Until what was deleted is gone: who installs anew would find it ending.
    async fn await_end(&self) -> Result<(), ClusterError> {
        if self.dry_run {
            return Ok(());
        }
        let begin = Instant::now();
        for (api, name) in &self.ending {
            while api.get_opt(name).await?.is_some() {
                if begin.elapsed() >= PATIENCE {
                    eprintln!("warning: {name} is still ending");
                    break;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        }
        Ok(())
    }
}

fn is_written_by_us(map: &DynamicObject) -> bool {
    let fields = map.metadata.managed_fields.iter().flatten();
    let mut managers = fields.filter_map(|entry| entry.manager.as_deref());
    managers.any(|manager| manager == CONTROL_PLANE)
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
