//! The HTTP connection manager and its filters (Envoy `HttpConnectionManager`).

mod cors; //   which pages of other origins may ask
mod fault; //  faults on purpose
mod filter; // what filters do

pub use cors::CorsPolicy;
pub use fault::{Abort, AbortStatus, Delay, Fault};
pub use filter::{Alpn, HttpFilter, NamedFilter, Override, OverrideConfig, PeerMetadata};

use crate::{RouteName, access_log::AccessLog, route::RouteConfiguration};
use std::{sync::Arc, time::Duration};

/// How long Envoy lets a stream be idle where nothing is set.
pub const DEFAULT_STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// What Envoy calls itself where nothing is set.
pub const DEFAULT_SERVER_NAME: &str = "envoy";

/// Settings of one connection manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConnectionManager {
    /// Prefix of its statistics.
    pub stat_prefix: String,
    /// Where its routes come from.
    pub routes: RouteSource,
    /// HTTP filters in order; the last is the router.
    pub filters: Vec<NamedFilter>,
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

impl HttpConnectionManager {
    /// A connection manager with Envoy's defaults, still without filters.
    pub fn new(stat_prefix: impl Into<String>, routes: RouteSource) -> Self {
        Self {
            stat_prefix: stat_prefix.into(),
            routes,
            filters: Vec::new(),
            server_name: DEFAULT_SERVER_NAME.into(),
            overwrite_server: true,
            stream_idle_timeout: DEFAULT_STREAM_IDLE_TIMEOUT,
            idle_timeout: None,
            use_remote_address: false,
            forward_client_cert: ForwardClientCert::Sanitize,
            upgrades: Vec::new(),
            normalize_path: false,
            merge_slashes: false,
            escaped_slashes: EscapedSlashes::KeepUnchanged,
            accept_http_10: false,
            preserve_header_case: false,
            generate_request_id: true,
            tracing: None,
            access_logs: Vec::new(),
        }
    }
}

/// Where a connection manager's routes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteSource {
    /// Route discovery, under this name.
    Rds(RouteName),
    /// In the listener itself.
    Inline(Arc<RouteConfiguration>),
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
