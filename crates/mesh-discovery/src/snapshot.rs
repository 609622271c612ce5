//! The world as of one moment: everything that translation reads, immutable, with its indexes.
//!
//! Built from the typed stores of [`crate::watch`]; the next world is made from this one and reuses whatever did not
//! change, so that keeping and cloning one is cheap. Knows nothing of xDS, of proxies or of who is connected.

mod age;
mod build;
mod change;
mod discovered;
mod endpoints;
mod peers;
mod protocol;
mod service;
mod services;
mod workload;
mod workloads;

pub use age::Age;
pub use change::Change;
pub use endpoints::{ServiceEndpoint, ServiceEndpoints};
pub use peers::{MtlsMode, MutualTls, PeerPolicies};
pub use protocol::{Protocol, Traffic};
pub use service::{Resolution, Service, ServicePort, TargetPort};
pub use services::Services;
pub(crate) use workload::CONTAINERS_READY;
pub use workload::Workload;
pub use workloads::Workloads;

use mesh_api::{k8s::apimachinery::pkg::apis::meta::v1::ObjectMeta, mesh_config::MeshConfig};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// The world as of one moment. Cloning copies a few pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    cluster: Arc<ClusterIdentity>,
    mesh: Arc<MeshConfig>,
    services: Arc<Services>,
    workloads: Arc<Workloads>,
    peers: Arc<PeerPolicies>,
    /// Namespaces whose objects count (`discoverySelectors`); `None` if all do.
    discovered: Option<Arc<BTreeSet<Arc<str>>>>,
    /// By host name of the service.
    endpoints: Arc<HashMap<Arc<str>, Arc<ServiceEndpoints>>>,
}

/// What sets this cluster apart from others; fixed for the life of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// DNS domain, such as `cluster.local`.
    pub domain: String,
    /// Name of the cluster, such as `Kubernetes`.
    pub id: String,
    /// Namespace of the control plane and its ConfigMap, such as `istio-system`.
    pub system_namespace: String,
    /// Name of its ConfigMap with the settings of the mesh: `istio`, or `istio-REV` of a revision.
    pub settings: String,
}

impl Default for ClusterIdentity {
    fn default() -> Self {
        Self {
            domain: "cluster.local".into(),
            id: "Kubernetes".into(),
            system_namespace: "istio-system".into(),
            settings: "istio".into(),
        }
    }
}

impl World {
    /// A world without anything in it.
    pub fn empty(cluster: ClusterIdentity) -> Self {
        Self {
            cluster: Arc::new(cluster),
            mesh: Arc::default(),
            services: Arc::default(),
            workloads: Arc::default(),
            peers: Arc::default(),
            discovered: None,
            endpoints: Arc::default(),
        }
    }

    /// What sets this cluster apart from others.
    pub fn cluster(&self) -> &ClusterIdentity {
        &self.cluster
    }

    /// Settings of the whole mesh.
    pub fn mesh(&self) -> &MeshConfig {
        &self.mesh
    }

    /// All services.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// All pods.
    pub fn workloads(&self) -> &Workloads {
        &self.workloads
    }

    /// The endpoints of a service; none if it is not known.
    pub fn endpoints(&self, host: &str) -> &ServiceEndpoints {
        static NONE: ServiceEndpoints = ServiceEndpoints::NONE;
        self.endpoints.get(host).map_or(&NONE, |e| e)
    }
}

/// The namespace of an object; Kubernetes takes a missing one for `default`.
fn namespace(metadata: &ObjectMeta) -> &str {
    metadata
        .namespace
        .as_deref()
        .filter(|n| !n.is_empty())
        .unwrap_or("default")
}

#[cfg(test)]
mod tests;
