//! A Service as the mesh sees it.

use super::{Protocol, age::Age};
use mesh_api::k8s::{api::core::v1 as k8s, apimachinery::pkg::util::intstr::IntOrString};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// A Service: host name, addresses and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Fully qualified host name, such as `nginx.test.svc.cluster.local`.
    pub host: Arc<str>,
    /// Kubernetes name.
    pub name: Arc<str>,
    /// Kubernetes namespace.
    pub namespace: Arc<str>,
    /// Decides between services that claim the same thing: the oldest wins.
    pub age: Age,
    /// Ports over TCP; others are none of the mesh's business.
    pub ports: Vec<ServicePort>,
    /// How its host name resolves.
    pub resolution: Resolution,
    /// Further addresses that clients may use, which its host name does not resolve to (`externalIPs`).
    pub external: Vec<IpAddr>,
    /// Labels of its pods; empty: its endpoints are written by hand.
    pub selector: BTreeMap<String, String>,
    /// Endpoints that are not ready are used as well.
    pub publish_not_ready: bool,
    /// Only endpoints on the client's node are used (`internalTrafficPolicy: Local`).
    pub node_local: bool,
}

/// How a service's host name resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// To its own addresses (`clusterIPs`), which may not have been assigned yet.
    Addresses(Vec<IpAddr>),
    /// To its endpoints (`clusterIP: None`).
    Headless,
    /// To another host (`ExternalName`).
    Alias(Arc<str>),
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServicePort {
    /// Its name; empty if the service has but one port.
    pub name: String,
    /// The number that clients use.
    pub number: u16,
    /// The port of the pods.
    pub target: TargetPort,
    /// What it speaks.
    pub protocol: Protocol,
}

/// The port of a service's pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetPort {
    /// The same in all pods.
    Number(u16),
    /// The container port of that name.
    Named(String),
}

impl Service {
    /// Reads a Kubernetes Service; `domain` is the cluster's, such as `cluster.local`.
    pub fn from_kubernetes(object: &k8s::Service, domain: &str) -> Self {
        let name: Arc<str> = object.metadata.name.as_deref().unwrap_or_default().into();
        let namespace: Arc<str> = super::namespace(&object.metadata).into();
        let spec = object.spec.clone().unwrap_or_default();
        let resolution = Resolution::of(&spec);
        let external = match &resolution {
            Resolution::Addresses(own) => {
                let mut all = addresses(spec.external_ips.iter().flatten());
                all.retain(|address| !own.contains(address));
                all
            }
            Resolution::Headless | Resolution::Alias(_) => Vec::new(),
        };
        Self {
            host: format!("{name}.{namespace}.svc.{domain}").into(),
            age: Age::of(&object.metadata),
            resolution,
            external,
            ports: spec
                .ports
                .iter()
                .flatten()
                .filter_map(ServicePort::of)
                .collect(),
            selector: spec.selector.unwrap_or_default(),
            publish_not_ready: spec.publish_not_ready_addresses.unwrap_or_default(),
            node_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
            name,
            namespace,
        }
    }

    /// Its own addresses; none if it is headless or an alias.
    pub fn addresses(&self) -> &[IpAddr] {
        match &self.resolution {
            Resolution::Addresses(addresses) => addresses,
            Resolution::Headless | Resolution::Alias(_) => &[],
        }
    }

    /// All addresses at which clients reach it.
    pub fn reached_at(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses().iter().chain(&self.external).copied()
    }

    /// Whether its host name resolves to its endpoints.
    pub fn is_headless(&self) -> bool {
        self.resolution == Resolution::Headless
    }

    /// Whether it is but another name of something else.
    pub fn is_alias(&self) -> bool {
        matches!(self.resolution, Resolution::Alias(_))
    }

    /// The port of that number.
    pub fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|p| p.number == number)
    }

    /// Whether a pod with these labels, in the service's namespace, belongs to it.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.selector.is_empty() && self.selector.iter().all(|(k, v)| labels.get(k) == Some(v))
    }
}

impl Resolution {
    fn of(spec: &k8s::ServiceSpec) -> Self {
        if spec.type_.as_deref() == Some("ExternalName") {
            let host = spec.external_name.as_deref().unwrap_or_default();
            return Self::Alias(host.trim_end_matches('.').to_ascii_lowercase().into());
        }
        if spec.cluster_ip.as_deref() == Some("None") {
            return Self::Headless;
        }
        let written = spec.cluster_ips.clone().unwrap_or_default();
        Self::Addresses(addresses(spec.cluster_ip.iter().chain(&written)))
    }
}

/// Those that are addresses, each once.
fn addresses<'a>(all: impl Iterator<Item = &'a String>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in all.filter_map(|text| text.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

impl ServicePort {
    fn of(port: &k8s::ServicePort) -> Option<Self> {
        let number = port_number(port.port)?;
        let protocol = Protocol::select(
            number,
            port.protocol.as_deref(),
            port.name.as_deref(),
            port.app_protocol.as_deref(),
        )?;
        let target = match &port.target_port {
            Some(IntOrString::String(name)) => TargetPort::Named(name.clone()),
            // Kubernetes reads 0 as “not set”.
            Some(IntOrString::Int(0)) | None => TargetPort::Number(number),
            Some(IntOrString::Int(target)) => TargetPort::Number(port_number(*target)?),
        };
        Some(Self {
            name: port.name.clone().unwrap_or_default(),
            number,
            target,
            protocol,
        })
    }
}

/// A port number as Kubernetes writes it; `None` outside 1 to 65535.
pub(super) fn port_number(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|n| *n != 0)
}
