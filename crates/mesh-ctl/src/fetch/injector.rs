//! The settings of injection that an installation keeps in its cluster.

use std::collections::BTreeMap;

use kube::Api;
use kube::api::ListParams;
use mesh_api::k8s::api::admissionregistration::v1::MutatingWebhookConfiguration;
use mesh_api::k8s::api::core::v1::{ConfigMap, Namespace};
use mesh_injector::{NamespaceFacts, Texts};

use super::{Cluster, ClusterError};

/// Names of the config maps without a revision.
const INJECTION: &str = "istio-sidecar-injector";
const MESH: &str = "istio";
/// Keys of the config maps.
const CONFIG: &str = "config";
const VALUES: &str = "values";
const MESH_CONFIG: &str = "mesh";

/// The config maps that injection is set up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigMaps {
    /// That of injection: policy and values.
    pub(crate) injection: String,
    /// That of the mesh.
    pub(crate) mesh: String,
}

impl ConfigMaps {
    /// Those of a revision.
    pub(crate) fn of(revision: &str) -> Self {
        let named = |name: &str| match revision {
            "" | "default" => name.to_owned(),
            revision => format!("{name}-{revision}"),
        };
        Self {
            injection: named(INJECTION),
            mesh: named(MESH),
        }
    }
}

impl Cluster {
    /// What the config maps of the control plane's namespace say.
    ///
    /// # Errors
    /// If one is not there, or has not what it should have.
    pub(crate) async fn injection(&self, maps: &ConfigMaps) -> Result<Texts, ClusterError> {
        Ok(Texts {
            config: self.text(&maps.injection, CONFIG).await?,
            values: self.text(&maps.injection, VALUES).await?,
            mesh: self.mesh_config(&maps.mesh).await?,
        })
    }

    /// The MeshConfig in the config map `name` of the control plane's namespace.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) async fn mesh_config(&self, name: &str) -> Result<String, ClusterError> {
        self.text(name, MESH_CONFIG).await
    }

    async fn text(&self, name: &str, key: &str) -> Result<String, ClusterError> {
        let namespace = &self.istio_namespace;
        let missing = |key: Option<&str>| ClusterError::NoConfigMap {
            name: name.to_owned(),
            namespace: namespace.clone(),
            key: key.map(str::to_owned),
        };
        let map = self.api::<ConfigMap>(namespace).get_opt(name).await?;
        let mut data = map.ok_or_else(|| missing(None))?.data.unwrap_or_default();
        data.remove(key).ok_or_else(|| missing(Some(key)))
    }

    /// Whether each kubelet runs native sidecars by default, by the name of its node.
    ///
    /// # Errors
    /// If we may not see the nodes.
    pub(crate) async fn kubelets(&self) -> Result<BTreeMap<String, bool>, ClusterError> {
        let nodes = Api::all(self.client.clone());
        Ok(mesh_injector::webhook::nodes::kubelets(&nodes).await?)
    }

    /// A namespace, as injection sees it.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) async fn namespace(&self, name: &str) -> Result<NamespaceFacts, ClusterError> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let labels = api.get(name).await?.metadata.labels;
        Ok(NamespaceFacts {
            name: name.to_owned(),
            labels: labels.unwrap_or_default(),
        })
    }

    /// All webhooks that change objects.
    ///
    /// # Errors
    /// If we may not see them.
    pub(crate) async fn webhooks(&self) -> Result<Vec<MutatingWebhookConfiguration>, ClusterError> {
        let api: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        Ok(api.list(&ListParams::default()).await?.items)
    }
}
