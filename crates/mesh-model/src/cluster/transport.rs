//! How a connection to an endpoint is made.

use crate::tls::UpstreamTls;

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
