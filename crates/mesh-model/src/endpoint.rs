//! The addresses behind a cluster (Envoy `ClusterLoadAssignment`).

use crate::ClusterName;
use std::{net::SocketAddr, sync::Arc};

/// All endpoints of one cluster. Their addresses are known, or (`A` = [`NamedAddress`]) have to be looked up.
///
/// [`NamedAddress`]: crate::cluster::NamedAddress
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterLoadAssignment<A = SocketAddr> {
    /// The cluster's EDS service name.
    pub cluster: ClusterName,
    /// Endpoints by locality.
    pub localities: Vec<LocalityEndpoints<A>>,
}

impl ClusterLoadAssignment {
    /// No endpoints.
    pub fn new(cluster: ClusterName) -> Self {
        Self {
            cluster,
            localities: Vec::new(),
        }
    }
}

impl<A> ClusterLoadAssignment<A> {
    /// All endpoints, locality by locality.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint<A>> {
        self.localities.iter().flat_map(|l| &l.endpoints)
    }
}

/// Endpoints of one locality (Envoy `LocalityLbEndpoints`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalityEndpoints<A = SocketAddr> {
    /// Where they are.
    pub locality: Locality,
    /// Share of the locality among those of its priority; `None`: a locality-weighted cluster sends it nothing.
    pub weight: Option<u32>,
    /// 0 is used first.
    pub priority: u32,
    /// The endpoints.
    pub endpoints: Vec<Endpoint<A>>,
}

impl<A> Default for LocalityEndpoints<A> {
    fn default() -> Self {
        Self {
            locality: Locality::default(),
            weight: None,
            priority: 0,
            endpoints: Vec::new(),
        }
    }
}

/// Place of an endpoint or a proxy (Envoy `Locality`); parts may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locality {
    /// Region.
    pub region: Arc<str>,
    /// Zone.
    pub zone: Arc<str>,
    /// Subzone.
    pub sub_zone: Arc<str>,
}

/// One address (Envoy `LbEndpoint`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<A = SocketAddr> {
    /// Where it listens.
    pub address: A,
    /// What the control plane knows of its health.
    pub health: HealthStatus,
    /// Share among the endpoints of its locality, at least 1.
    pub weight: u32,
    /// Metadata under `envoy.transport_socket_match`, such as `tlsMode` = `istio`.
    pub transport_match: Vec<(Arc<str>, Arc<str>)>,
    /// Istio's `workload` metadata: `name;namespace;canonical name;canonical revision;cluster`.
    pub workload: Option<Arc<str>>,
}

impl<A> Endpoint<A> {
    /// An endpoint of which nothing but its address is known.
    pub fn at(address: A) -> Self {
        Self {
            address,
            health: HealthStatus::Unknown,
            weight: 1,
            transport_match: Vec::new(),
            workload: None,
        }
    }
}

/// Health as the control plane reports it (Envoy `HealthStatus`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HealthStatus {
    /// Nothing is said; treated as healthy.
    #[default]
    Unknown,
    /// Ready.
    Healthy,
    /// Not ready.
    Unhealthy,
    /// Going away: no new requests.
    Draining,
    /// Ready, but to be used only when others are short.
    Degraded,
}
