//! Network filters: what happens to a connection once its chain is picked.

use crate::{
    ClusterName, access_log::AccessLog, http::HttpConnectionManager, policy::rbac::NetworkRbac,
};
use std::time::Duration;

/// A network filter. The last of a chain is the connection manager or the TCP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkFilter {
    /// `istio.metadata_exchange`: swaps metadata with the peer where its protocol is negotiated by ALPN.
    MetadataExchange(MetadataExchange),
    /// `istio.stats` on TCP: the `istio_tcp_*` metrics.
    Stats(Stats),
    /// `envoy.filters.network.rbac`: who may connect.
    Rbac(NetworkRbac),
    /// Terminal: HTTP.
    HttpConnectionManager(Box<HttpConnectionManager>),
    /// Terminal: bytes.
    TcpProxy(TcpProxy),
}

/// Settings of `istio.metadata_exchange` on TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataExchange {
    /// ALPN protocol under which metadata is swapped: `istio-peer-exchange`.
    pub protocol: String,
}

/// Settings of `istio.stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The host header does not stand in for an unknown destination service.
    pub disable_host_header_fallback: bool,
}

/// Sends a connection's bytes to a cluster (Envoy `TcpProxy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpProxy {
    /// Prefix of its statistics.
    pub stat_prefix: String,
    /// Where to.
    pub cluster: ClusterName,
    /// Idle time after which both sides are closed; `None`: Envoy's 1 h; zero: never.
    pub idle_timeout: Option<Duration>,
    /// Where the cluster hashes, connections of one client's IP address are kept together (Envoy `hash_policy`).
    pub hash_source_ip: bool,
    /// Logs.
    pub access_logs: Vec<AccessLog>,
}

impl TcpProxy {
    /// Sends bytes to `cluster`, with Envoy's defaults.
    pub fn to(cluster: ClusterName) -> Self {
        Self {
            stat_prefix: cluster.to_string(),
            cluster,
            idle_timeout: None,
            hash_source_ip: false,
            access_logs: Vec::new(),
        }
    }
}
