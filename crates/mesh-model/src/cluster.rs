//! Where requests may go (Envoy `Cluster`).

mod balance; //   how an endpoint is picked
mod breaker; //   how much is taken at once
mod dns; //       where endpoints with names come from
mod outlier; //   which endpoints are left out for a while
mod transport; // how a connection is made

pub use balance::{
    DEFAULT_MAGLEV_TABLE, HashFunction, LARGEST_MAGLEV_TABLE, LARGEST_RING, LbPolicy, Percent,
    RingHash,
};
pub use breaker::Limits;
pub use dns::{DEFAULT_DNS_REFRESH, DnsDiscovery, DnsKind, LookupFamily, NamedAddress};
pub use outlier::{Consecutive, FailurePercentage, OutlierDetection, SuccessRate};
pub use transport::{Transport, TransportMatch};

use crate::{ClusterName, endpoint::ClusterLoadAssignment};
use std::{net::IpAddr, num::NonZeroU32, time::Duration};

/// How long Envoy lets a connection take where nothing is set.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// Which endpoints are ejected for failures; `None`: none.
    pub outlier_detection: Option<OutlierDetection>,
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
    /// Requests after which a pooled connection takes no more; `None`: no limit.
    pub max_requests_per_connection: Option<NonZeroU32>,
    /// Source address of connections (Envoy `upstream_bind_config`).
    pub source_address: Option<IpAddr>,
    /// The services that the cluster stands for (metadata `istio.services`), for metrics and tools.
    pub services: Vec<ServiceRef>,
}

impl Cluster {
    /// A cluster with Envoy's defaults.
    pub fn new(name: ClusterName, discovery: Discovery) -> Self {
        Self {
            name,
            discovery,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            lb_policy: LbPolicy::default(),
            limits: Limits::ENVOY,
            outlier_detection: None,
            healthy_panic_threshold: None,
            locality_weighted: false,
            transport_matches: Vec::new(),
            transport: Transport::default(),
            http_protocol: UpstreamHttp::default(),
            idle_timeout: None,
            max_requests_per_connection: None,
            source_address: None,
            services: Vec::new(),
        }
    }
}

/// Where endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// Listed in the cluster itself.
    Static(ClusterLoadAssignment),
    /// Delivered by endpoint discovery under this name.
    Eds(ClusterName),
    /// Looked up by name.
    Dns(Box<DnsDiscovery>),
    /// The connection's original destination.
    OriginalDst,
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
