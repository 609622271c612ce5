//! A cluster: who we are to it, its pods, and ports of them brought here through the API server, as `kubectl port-forward`
//! does.

mod error; // why it did not answer
mod options; // which one
mod workload; // objects that have pods

use std::collections::BTreeSet;
use std::time::Duration;

use kube::api::ListParams;
use kube::client::UpgradeConnectionError;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use mesh_api::access::AccessError;
use mesh_api::k8s::api::core::v1::Pod;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use error::Error;
pub(crate) use options::{ClusterOptions, is_configured, is_exported};

use super::PodName;
use workload::{KINDS, selector};

/// Longest wait for a connection to the API server.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for an answer of it.
const ANSWER: Duration = Duration::from_secs(60);
/// How many pods a message names.
const NAMED: usize = 5;

/// A cluster that can be asked.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) istio_namespace: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

impl Cluster {
    /// Reads the kubeconfig; nothing is connected yet.
    ///
    /// # Errors
    /// If it says nothing that can be used.
    pub(crate) async fn open(options: &ClusterOptions) -> Result<Self, Error> {
        let mut config = options.access().config().await?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        Ok(Self {
            client: Client::try_from(config).map_err(AccessError::Client)?,
            istio_namespace: options.istio_namespace.clone(),
        })
    }

    /// Namespace of what is named without one.
    pub(crate) fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// The pod that `name` calls, as namespace and name; of a workload the first that runs.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn pod(&self, name: &PodName) -> Result<(String, String), Error> {
        if name.is_workload() {
            let (namespace, workload) = self.workload(name).await?;
            let pods = self.running(&namespace, &selector(&workload)).await?;
            let first = pods.into_iter().next();
            let first = first.ok_or_else(|| Error::NoRunningPod(name.typed.clone()))?;
            return Ok((namespace, first));
        }
        for (short, namespace) in name.candidates() {
            let api: Api<PartialObjectMeta<Pod>> = self.api(namespace);
            if found(api.get_metadata_opt(short).await)?.is_some() {
                return Ok((namespace.clone(), short.clone()));
            }
        }
        Err(Error::NoPod {
            typed: name.typed.clone(),
            pods: self.like(name).await,
        })
    }

    /// The workload that `name` calls, with its namespace.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn workload(&self, name: &PodName) -> Result<(String, DynamicObject), Error> {
        let typed = || name.typed.clone();
        let kind = name.workload_kind().unwrap_or_default();
        let kind = KINDS.iter().find(|known| known.names.contains(&kind));
        let kind = kind.ok_or_else(|| Error::UnknownKind(typed()))?;
        let resource = resource(kind.group, "v1", kind.kind, kind.names[2]);
        for (short, namespace) in name.candidates() {
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.client.clone(), namespace, &resource);
            if let Some(object) = found(api.get_opt(short).await)? {
                return Ok((namespace.clone(), object));
            }
        }
        Err(Error::NoWorkload(typed()))
    }

    /// A pod as the API server has it.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) async fn pod_json(&self, namespace: &str, name: &str) -> Result<Value, Error> {
        let resource = resource("", "v1", "Pod", "pods");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let pod = api.get(name).await?;
        Ok(serde_json::to_value(pod).unwrap_or_default())
    }

    /// Objects of a built-in kind in one namespace.
    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// A few pods that may have been meant: those whose name holds what was typed, else any. Help for a message; that it
    /// cannot be given is no failure.
    async fn like(&self, name: &PodName) -> Vec<String> {
        let mut all = Vec::new();
        let namespaces: BTreeSet<_> = name.candidates().map(|(_, namespace)| namespace).collect();
        for namespace in namespaces {
            let api: Api<PartialObjectMeta<Pod>> = self.api(namespace);
            let Ok(pods) = api.list_metadata(&ListParams::default()).await else {
                continue;
            };
            let names = pods.items.into_iter().filter_map(|pod| pod.metadata.name);
            all.extend(names.map(|pod| format!("{pod}.{namespace}")));
        }
        let shorts: Vec<_> = name.candidates().map(|(short, _)| short.clone()).collect();
        let is_like = |pod: &&String| shorts.iter().any(|short| pod.contains(short.as_str()));
        let like: Vec<_> = all.iter().filter(is_like).cloned().collect();
        let mut chosen = if like.is_empty() { all } else { like };
        chosen.truncate(NAMED);
        chosen
    }

    /// Names of the running pods of a namespace that bear labels, sorted.
    ///
    /// # Errors
    /// If we may not see them.
    pub(crate) async fn running(
        &self,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<String>, Error> {
        let pods = self.running_pods(namespace, labels).await?.into_iter();
        let mut names: Vec<_> = pods.filter_map(|pod| pod.metadata.name).collect();
        names.sort();
        Ok(names)
    }

    /// The running pods of a namespace that bear labels; none for no labels.
    ///
    /// # Errors
    /// If we may not see them.
    pub(crate) async fn running_pods(
        &self,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Pod>, Error> {
        if labels.is_empty() {
            return Ok(Vec::new());
        }
        let params = ListParams::default().labels(labels);
        let mut pods = self.api::<Pod>(namespace).list(&params).await?.items;
        pods.retain(|pod| {
            let status = pod.status.as_ref();
            status.and_then(|status| status.phase.as_deref()) == Some("Running")
                && pod.metadata.deletion_timestamp.is_none()
        });
        Ok(pods)
    }

    /// The ready pods of the control plane, of all revisions.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn control_plane(&self) -> Result<Vec<ControlPlane>, Error> {
        let mut pods = self
            .running_pods(&self.istio_namespace, "app=istiod")
            .await?;
        pods.retain(is_ready);
        if pods.is_empty() {
            return Err(Error::NoControlPlane(self.istio_namespace.clone()));
        }
        let mut planes: Vec<_> = pods.into_iter().filter_map(ControlPlane::of).collect();
        planes.sort_by(|a, b| a.pod.cmp(&b.pod));
        Ok(planes)
    }

    /// A connection to a port of a pod, as if it came from within the pod.
    ///
    /// # Errors
    /// If the API server or the node refuses.
    pub(crate) async fn forward(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static + use<>, Error> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let forwarder = api.portforward(pod, &[port]).await;
        let mut forwarder = forwarder.map_err(|error| match error {
            kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
                Error::NotForwarded {
                    pod: pod.to_owned(),
                    status,
                }
            }
            other => other.into(),
        })?;
        forwarder.take_stream(port).ok_or(Error::NoPort(port))
    }
}

/// A pod of the control plane.
#[derive(Debug, Clone)]
pub(crate) struct ControlPlane {
    /// Its name.
    pub(crate) pod: String,
    /// What its proxies call it, as far as it says so.
    pub(crate) revision: Option<String>,
}

impl ControlPlane {
    fn of(pod: Pod) -> Option<Self> {
        let mut labels = pod.metadata.labels.unwrap_or_default();
        Some(Self {
            pod: pod.metadata.name?,
            revision: labels.remove(mesh_model::annotation::REVISION),
        })
    }
}

/// Whether its kubelet says that it serves.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.any(|condition| condition.status == "True")
}

/// What is not there, or must not be seen by its name, is not there.
fn found<T>(answer: kube::Result<Option<T>>) -> Result<Option<T>, Error> {
    match answer {
        // A name that cannot exist, such as one with a slash.
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 404) => Ok(None),
        other => Ok(other?),
    }
}

/// A kind of the API by its names.
pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version,
        kind: kind.into(),
        plural: plural.into(),
    }
}
