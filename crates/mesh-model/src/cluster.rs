//! Where requests may go (Envoy `Cluster`).

use crate::{ClusterName, endpoint::ClusterLoadAssignment, tls::UpstreamTls};
use std::{net::IpAddr, time::Duration};

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// Where its endpoints come from.
    pub discovery: Discovery,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How an endpoint is picked.
    pub lb_policy: LbPolicy,
    /// Limits of the default priority (Envoy `circuit_breakers`).
    pub limits: Limits,
    /// Below this share of healthy endpoints, in percent, all are used; `None`: Envoy's 50.
    pub healthy_panic_threshold: Option<Percent>,
    /// Localities are weighted (Envoy `locality_weighted_lb_config`).
    pub locality_weighted: bool,
    /// How to connect to an endpoint whose metadata matches; the first match wins.
    pub transport_matches: Vec<TransportMatch>,
    /// How to connect when no match applies.
    pub transport: Transport,
    /// Which HTTP version is spoken upstream.
    pub http_protocol: UpstreamHttp,
    /// Idle time after which a pooled connection is closed; `None`: Envoy's 1 h.
    pub idle_timeout: Option<Duration>,
    /// Source address of connections (Envoy `upstream_bind_config`).
    pub source_address: Option<IpAddr>,
    /// The services that the cluster stands for (metadata `istio.services`), for metrics and tools.
    pub services: Vec<ServiceRef>,
}

/// Where endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// Listed in the cluster itself.
    Static(ClusterLoadAssignment),
    /// Delivered by endpoint discovery under this name.
    Eds(ClusterName),
    /// The connection's original destination.
    OriginalDst,
}

/// How an endpoint is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LbPolicy {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with fewer active requests of two picked at random.
    LeastRequest,
    /// At random.
    Random,
    /// By the discovery itself (original destination).
    ClusterProvided,
}

/// Circuit-breaker limits; `u32::MAX` never trips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections.
    pub max_connections: u32,
    /// Requests that wait for a connection.
    pub max_pending_requests: u32,
    /// Requests in flight.
    pub max_requests: u32,
    /// Retries in flight.
    pub max_retries: u32,
}

impl Limits {
    /// What Envoy assumes where nothing is set.
    pub const ENVOY: Self = Self {
        max_connections: 1024,
        max_pending_requests: 1024,
        max_requests: 1024,
        max_retries: 3,
    };
    /// No limit, as Istio sets it.
    pub const UNLIMITED: Self = Self {
        max_connections: u32::MAX,
        max_pending_requests: u32::MAX,
        max_requests: u32::MAX,
        max_retries: u32::MAX,
    };
}

/// One entry of Envoy's `transport_socket_matches`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportMatch {
    /// Its name, such as `tlsMode-istio`.
    pub name: String,
    /// All of these must stand in the endpoint's metadata; empty matches every endpoint.
    pub labels: Vec<(String, String)>,
    /// How to connect.
    pub transport: Transport,
}

/// How a connection to an endpoint is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// In plaintext.
    #[default]
    RawBuffer,
    /// Over TLS.
    Tls(Box<UpstreamTls>),
}

/// Which HTTP version is spoken upstream (Envoy `HttpProtocolOptions`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamHttp {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2.
    Http2,
    /// What the client speaks.
    Downstream,
}

/// A service that a cluster stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceRef {
    /// Fully qualified host name.
    pub host: String,
    /// Kubernetes name.
    pub name: String,
    /// Kubernetes namespace.
    pub namespace: String,
}

/// A whole percentage, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// 0 %.
    pub const ZERO: Self = Self(0);

    /// `value` percent; `None` above 100.
    pub fn new(value: u8) -> Option<Self> {
        (value <= 100).then_some(Self(value))
    }

    /// The number, 0 to 100.
    pub fn get(self) -> u8 {
        self.0
    }
}
