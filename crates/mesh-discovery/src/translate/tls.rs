//! Mutual TLS within the mesh: contexts of both directions, and the ALPN protocols that steer a connection on the other
//! side.
//!
//! A server picks its filter chain by what the client *offers*; what the handshake then agrees on comes from the server's
//! own list. So `istio…` protocols are offered by clients and matched by chains, but no server ever selects one, apart
//! from `istio-peer-exchange`, by which two sides that both can agree to swap metadata first.

use super::key::Client;
use crate::snapshot::{Protocol, Traffic, World};
use mesh_model::{
    ClusterName, SpiffeId,
    cluster::UpstreamHttp,
    matcher::{StringMatch, StringMatcher},
    name::{DEFAULT_SECRET, ROOT_CA_SECRET},
    tls::{CommonTls, DownstreamTls, PeerValidation, TlsVersion, UpstreamTls},
};

/// Agreed on by sides that swap metadata.
pub(super) const PEER_EXCHANGE: &str = "istio-peer-exchange";
/// Mutual TLS of the mesh, whatever is inside.
pub(super) const MESH: &str = "istio";
/// What inbound chains for HTTP over mutual TLS match.
pub(super) const MESH_HTTP: [&str; 3] = ["istio-http/1.0", "istio-http/1.1", "istio-h2"];
/// What inbound chains for bytes over mutual TLS match, on ports of unknown protocol.
pub(super) const MESH_TCP: [&str; 2] = [PEER_EXCHANGE, MESH];
/// What inbound chains for mutual TLS match, on ports of known protocol.
pub(super) const MESH_ALL: [&str; 5] = [
    MESH,
    PEER_EXCHANGE,
    "istio-http/1.0",
    "istio-http/1.1",
    "istio-h2",
];
/// What chains for HTTP in plaintext match, as the HTTP inspector finds it.
pub(super) const PLAIN_HTTP: [&str; 2] = ["http/1.1", "h2c"];

/// Cipher suites of TLS 1.2 that servers accept, by OpenSSL's names.
const CIPHER_SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
];

/// What travels over a client's cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Requests and bytes alike: the data plane says per request what it offers (`istio.alpn`).
    Any(UpstreamHttp),
    /// Requests of this version.
    Http(UpstreamHttp),
    /// Bytes.
    Tcp,
}

/// Towards endpoints of `cluster` that run under one of `accounts`; under any, if there are none.
pub(super) fn upstream(
    world: &World,
    client: &Client,
    cluster: &ClusterName,
    payload: Payload,
    accounts: impl Iterator<Item = (String, String)>,
) -> UpstreamTls {
    let identity = |(namespace, service_account)| SpiffeId {
        trust_domain: world.mesh().trust_domain.clone(),
        namespace,
        service_account,
    };
    let names = accounts.map(|account| StringMatch::Exact(identity(account).to_string()).into());
    UpstreamTls {
        common: CommonTls {
            alpn: owned(&offer(client, payload)),
            cipher_suites: Vec::new(),
            ..common(names.collect())
        },
        sni: cluster.sni().unwrap_or_default(),
    }
}

/// Towards clients of the mesh. `http` says what is inside.
pub(super) fn downstream(world: &World, client: &Client, http: bool) -> DownstreamTls {
    let exchange = (!http && client.capabilities.tcp_metadata_exchange).then_some(PEER_EXCHANGE);
    let alpn: Vec<_> = exchange.into_iter().chain(["h2", "http/1.1"]).collect();
    let prefix = StringMatch::Prefix(format!("spiffe://{}/", world.mesh().trust_domain));
    DownstreamTls {
        common: CommonTls {
            alpn: owned(&alpn),
            cipher_suites: owned(&CIPHER_SUITES),
            ..common(vec![prefix.into()])
        },
        require_client_certificate: true,
    }
}

impl Payload {
    /// What travels over the cluster of a port of `protocol`, if its requests and its bytes share one.
    pub(super) fn of(client: &Client, protocol: Protocol) -> Self {
        let http = protocol.upstream_http();
        match protocol.traffic() {
            _ if client.capabilities.alpn => Self::Any(http),
            Traffic::Tcp => Self::Tcp,
            Traffic::Http | Traffic::Auto => Self::Http(http),
        }
    }
}

/// What a client offers. Where it cannot decide per request, an HTTP version that is known is offered as `istio.alpn`
/// would. One that follows the client's own is offered without the real protocol behind it, so that the handshake agrees
/// on none and the server goes by the connection's first bytes.
fn offer(client: &Client, payload: Payload) -> Vec<&'static str> {
    let exchange = client
        .capabilities
        .tcp_metadata_exchange
        .then_some(PEER_EXCHANGE);
    match payload {
        Payload::Any(UpstreamHttp::Http2) => exchange.into_iter().chain([MESH, "h2"]).collect(),
        Payload::Any(_) | Payload::Tcp => exchange.into_iter().chain([MESH]).collect(),
        Payload::Http(UpstreamHttp::Http1) => HTTP11.to_vec(),
        Payload::Http(UpstreamHttp::Http2) => HTTP2.to_vec(),
        Payload::Http(UpstreamHttp::Downstream) => vec!["istio-http/1.1", "istio-h2"],
    }
}

/// What is offered for an HTTP/1.0 request.
pub(super) const HTTP10: [&str; 3] = ["istio-http/1.0", MESH, "http/1.0"];
/// What is offered for an HTTP/1.1 request.
pub(super) const HTTP11: [&str; 3] = ["istio-http/1.1", MESH, "http/1.1"];
/// What is offered for an HTTP/2 request.
pub(super) const HTTP2: [&str; 3] = ["istio-h2", MESH, "h2"];

pub(super) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn common(subject_alt_names: Vec<StringMatcher>) -> CommonTls {
    CommonTls {
        min_version: TlsVersion::V1_2,
        max_version: TlsVersion::V1_3,
        cipher_suites: Vec::new(),
        certificate: Some(DEFAULT_SECRET.into()),
        validation: Some(PeerValidation {
            trusted_ca: ROOT_CA_SECRET.into(),
            subject_alt_names,
        }),
        alpn: Vec::new(),
    }
}
