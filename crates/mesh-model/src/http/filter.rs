//! HTTP filters.

use crate::filter::Stats;

/// An HTTP filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpFilter {
    /// `istio.metadata_exchange`: peer metadata by header.
    PeerMetadata(PeerMetadata),
    /// `envoy.filters.http.grpc_stats`.
    GrpcStats,
    /// `istio.alpn`: the ALPN offered upstream follows the protocol spoken downstream.
    Alpn(Alpn),
    /// `envoy.filters.http.fault`, without faults of its own.
    Fault,
    /// `envoy.filters.http.cors`, without a policy of its own.
    Cors,
    /// `istio.stats`: the `istio_*` metrics.
    Stats(Stats),
    /// Terminal: sends the request on.
    Router,
}

/// Settings of peer metadata by header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerMetadata {
    /// The client's headers are read and taken off the request.
    pub downstream_discovery: bool,
    /// Our headers are added to the response.
    pub downstream_propagation: bool,
    /// The server's headers are read and taken off the response.
    pub upstream_discovery: bool,
    /// Our headers are added to the request.
    pub upstream_propagation: bool,
}

/// Settings of `istio.alpn`: what is offered upstream, by what is spoken downstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alpn {
    /// For HTTP/1.0 requests.
    pub http10: Vec<String>,
    /// For HTTP/1.1 requests.
    pub http11: Vec<String>,
    /// For HTTP/2 requests.
    pub http2: Vec<String>,
}
