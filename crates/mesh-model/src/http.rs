//! The HTTP connection manager and its filters (Envoy `HttpConnectionManager`).

use crate::{RouteName, access_log::AccessLog, filter::Stats, route::RouteConfiguration};
use std::{sync::Arc, time::Duration};

/// Settings of one connection manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConnectionManager {
    /// Prefix of its statistics.
    pub stat_prefix: String,
    /// Where its routes come from.
    pub routes: RouteSource,
    /// HTTP filters in order; the last is the router.
    pub filters: Vec<HttpFilter>,
    /// Value of the `server` response header, which is overwritten; Envoy's default is `envoy`.
    pub server_name: String,
    /// Whether `server` is overwritten at all (`false`: Envoy `PASS_THROUGH`).
    pub overwrite_server: bool,
    /// How long a stream may be idle; zero: for ever. Envoy's default is 5 min.
    pub stream_idle_timeout: Duration,
    /// How long a connection may be without streams; `None`: Envoy's 1 h; zero: for ever.
    pub idle_timeout: Option<Duration>,
    /// The peer's address is the client's (Envoy `use_remote_address`).
    pub use_remote_address: bool,
    /// What is done with `x-forwarded-client-cert`.
    pub forward_client_cert: ForwardClientCert,
    /// Upgrades that are let through, lower case, such as `websocket`.
    pub upgrades: Vec<String>,
    /// Paths are normalised by RFC 3986 before routing.
    pub normalize_path: bool,
    /// Adjacent slashes are merged before routing.
    pub merge_slashes: bool,
    /// What is done with `%2F` and `%5C`.
    pub escaped_slashes: EscapedSlashes,
    /// HTTP/1.0 requests are taken.
    pub accept_http_10: bool,
    /// Case of HTTP/1 header names is kept.
    pub preserve_header_case: bool,
    /// `x-request-id` is made where it is missing.
    pub generate_request_id: bool,
    /// Share of requests to trace, if tracing is on.
    pub tracing: Option<Tracing>,
    /// Logs.
    pub access_logs: Vec<AccessLog>,
}

/// Where a connection manager's routes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteSource {
    /// Route discovery, under this name.
    Rds(RouteName),
    /// In the listener itself.
    Inline(Arc<RouteConfiguration>),
}

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

/// What is done with `x-forwarded-client-cert`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardClientCert {
    /// It is taken off.
    #[default]
    Sanitize,
    /// It is passed on.
    ForwardOnly,
    /// The peer's certificate is added to what is there (Envoy `APPEND_FORWARD`).
    AppendForward(ClientCertDetails),
    /// What is there is replaced by the peer's certificate (Envoy `SANITIZE_SET`).
    SanitizeSet(ClientCertDetails),
}

/// Which parts of the peer's certificate stand in `x-forwarded-client-cert`, beside `By` and `Hash`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCertDetails {
    /// `Subject`.
    pub subject: bool,
    /// `DNS`.
    pub dns: bool,
    /// `URI`.
    pub uri: bool,
}

/// What is done with escaped slashes in a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// Nothing.
    #[default]
    KeepUnchanged,
    /// The request is refused with 400.
    RejectRequest,
    /// They are unescaped, and the client is redirected there.
    UnescapeAndRedirect,
    /// They are unescaped.
    UnescapeAndForward,
}

/// Shares of requests to trace, in hundredths of a percent (0 to 10,000).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// Of those for which the client asks.
    pub client: u16,
    /// Of all others.
    pub random: u16,
    /// Upper bound of both.
    pub overall: u16,
}
