//! HTTP filters.

use super::{CorsPolicy, Fault};
use crate::{
    filter::Stats,
    policy::{
        jwt::{JwtAuthn, JwtOverride},
        rbac::Rbac,
    },
};

/// A filter in the chain of a connection manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFilter {
    /// Its name, by which routes speak of it.
    pub name: String,
    /// It is off but where a route turns it on.
    pub disabled: bool,
    /// What it does.
    pub filter: HttpFilter,
}

impl From<HttpFilter> for NamedFilter {
    /// Under the name that everybody gives it.
    fn from(filter: HttpFilter) -> Self {
        Self {
            name: filter.usual_name().into(),
            disabled: false,
            filter,
        }
    }
}

/// What a route, or one of what it stands in, changes of a filter (Envoy `typed_per_filter_config`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Name of the filter in the chain.
    pub name: String,
    /// What takes the place of its settings.
    pub config: OverrideConfig,
}

/// What takes the place of a filter's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideConfig {
    /// The filter is off.
    Off,
    /// The filter is on, with its own settings.
    On,
    /// These faults.
    Fault(Fault),
    /// This access control.
    Rbac(Rbac),
    /// What tokens are needed.
    Jwt(JwtOverride),
    /// Who of other origins may ask; what it leaves open, the levels around it say.
    Cors(Box<CorsPolicy>),
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
    /// `envoy.filters.http.fault`: faults.
    Fault(Fault),
    /// `envoy.filters.http.rbac`: who may ask for what.
    Rbac(Rbac),
    /// `envoy.filters.http.jwt_authn`: tokens that say who asks.
    Jwt(Box<JwtAuthn>),
    /// `envoy.filters.http.cors`: its policies stand at routes.
    Cors,
    /// `istio.stats`: the `istio_*` metrics.
    Stats(Stats),
    /// Terminal: sends the request on.
    Router,
}

impl HttpFilter {
    /// The name that Envoy and Istio give it.
    pub fn usual_name(&self) -> &'static str {
        match self {
            Self::PeerMetadata(_) => "istio.metadata_exchange",
            Self::GrpcStats => "envoy.filters.http.grpc_stats",
            Self::Alpn(_) => "istio.alpn",
            Self::Fault(_) => "envoy.filters.http.fault",
            Self::Rbac(_) => "envoy.filters.http.rbac",
            Self::Jwt(_) => "envoy.filters.http.jwt_authn",
            Self::Cors => "envoy.filters.http.cors",
            Self::Stats(_) => "istio.stats",
            Self::Router => "envoy.filters.http.router",
        }
    }
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
