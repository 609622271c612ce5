//! A pod as the mesh sees it.

use super::{age::Age, service::port_number};
use mesh_api::k8s::api::core::v1 as k8s;
use mesh_model::{annotation, endpoint::Locality};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// A pod: where it is, who it is, what it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Name of the pod.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Decides between pods that claim the same address: the youngest has it.
    pub age: Age,
    /// Its addresses; empty as long as it has none, and for pods on the node's network.
    pub addresses: Vec<IpAddr>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its service account.
    pub service_account: Arc<str>,
    /// The node that it runs on.
    pub node: Option<Arc<str>>,
    /// Where that is.
    pub locality: Locality,
    /// Its named container ports.
    pub ports: Vec<(String, u16)>,
    /// What it was made by, such as a Deployment; its own name if nothing.
    pub owner: Arc<str>,
    /// Its proxy accepts mutual TLS.
    pub accepts_mtls: bool,
    /// Its kubelet has said last that all its containers are ready, and nothing else is asked for. If it is not ready all
    /// the same, then because its node is not heard of.
    pub containers_are_ready: bool,
}

/// The condition of a pod by which a kubelet says so.
pub(crate) const CONTAINERS_READY: &str = "ContainersReady";

impl Workload {
    /// Reads a Pod; `node` is the object of the node that it runs on. `None` once the pod has ended: its address may
    /// already belong to another.
    pub fn from_kubernetes(pod: &k8s::Pod, node: Option<&k8s::Node>) -> Option<Self> {
        let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
        if matches!(phase, Some("Failed" | "Succeeded")) {
            return None;
        }
        let spec = pod.spec.clone().unwrap_or_default();
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        Some(Self {
            name: pod.metadata.name.as_deref().unwrap_or_default().into(),
            namespace: super::namespace(&pod.metadata).into(),
            age: Age::of(&pod.metadata),
            addresses: addresses(pod),
            service_account: spec
                .service_account_name
                .as_deref()
                .filter(|n| !n.is_empty())
                .unwrap_or("default")
                .into(),
            node: spec.node_name.as_deref().map(Into::into),
            locality: locality(&labels, node),
            ports: named_ports(&spec),
            owner: owner(pod).into(),
            accepts_mtls: labels.get(annotation::TLS_MODE).map(String::as_str)
                == Some(annotation::TLS_MODE_ISTIO),
            containers_are_ready: containers_are_ready(pod),
            labels,
        })
    }

    /// The container port of that name.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.ports
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, port)| *port)
    }

    /// The service that it belongs to in metrics.
    pub fn canonical_name(&self) -> &str {
        self.first_label(&[annotation::CANONICAL_NAME, "app.kubernetes.io/name", "app"])
            .unwrap_or(&self.owner)
    }

    /// Its revision in metrics.
    pub fn canonical_revision(&self) -> &str {
        self.first_label(&[
            annotation::CANONICAL_REVISION,
            "app.kubernetes.io/version",
            "version",
        ])
        .unwrap_or("latest")
    }

    fn first_label(&self, keys: &[&str]) -> Option<&str> {
        keys.iter()
            .find_map(|key| self.labels.get(*key))
            .map(String::as_str)
    }
}

fn containers_are_ready(pod: &k8s::Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|s| s.readiness_gates.as_ref());
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    let said = conditions.any(|c| c.type_ == CONTAINERS_READY && c.status == "True");
    said && gates.is_none_or(Vec::is_empty)
}

/// Pods on the node's network share its address, so it says nothing about who answers there.
fn addresses(pod: &k8s::Pod) -> Vec<IpAddr> {
    if pod.spec.as_ref().and_then(|s| s.host_network) == Some(true) {
        return Vec::new();
    }
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let all = status
        .pod_ip
        .iter()
        .chain(status.pod_ips.iter().flatten().map(|each| &each.ip));
    let mut addresses = Vec::new();
    for address in all.filter_map(|text| text.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn named_ports(spec: &k8s::PodSpec) -> Vec<(String, u16)> {
    let sidecars = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let ports = spec
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|c| c.ports.iter().flatten());
    ports
        .filter_map(|port| Some((port.name.clone()?, port_number(port.container_port)?)))
        .collect()
}

/// The pod's own label wins over the labels of its node.
fn locality(labels: &BTreeMap<String, String>, node: Option<&k8s::Node>) -> Locality {
    let own = [annotation::LOCALITY, annotation::TOPOLOGY_LOCALITY];
    if let Some(label) = own.iter().find_map(|key| labels.get(*key)) {
        let mut parts = label.split(['.', '/']).map(Arc::from);
        let mut next = || parts.next().unwrap_or_default();
        return Locality {
            region: next(),
            zone: next(),
            sub_zone: next(),
        };
    }
    let of_node = |key| {
        node.and_then(|n| n.metadata.labels.as_ref()?.get(key))
            .map(|v| v.as_str().into())
            .unwrap_or_default()
    };
    Locality {
        region: of_node(annotation::TOPOLOGY_REGION),
        zone: of_node(annotation::TOPOLOGY_ZONE),
        sub_zone: of_node(annotation::TOPOLOGY_SUBZONE),
    }
}

/// A ReplicaSet that a Deployment made is named after it and the hash of its template.
fn owner(pod: &k8s::Pod) -> String {
    let metadata = &pod.metadata;
    let controller = metadata
        .owner_references
        .iter()
        .flatten()
        .find(|o| o.controller == Some(true));
    let Some(controller) = controller else {
        return metadata.name.clone().unwrap_or_default();
    };
    let hash = metadata
        .labels
        .as_ref()
        .and_then(|l| l.get("pod-template-hash"));
    let deployment = hash
        .filter(|_| controller.kind == "ReplicaSet")
        .and_then(|hash| {
            controller
                .name
                .strip_suffix(hash.as_str())?
                .strip_suffix('-')
        });
    deployment.unwrap_or(&controller.name).to_owned()
}
