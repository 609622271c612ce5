//! The facts about one downstream connection, gathered on the way in and read by everything after.

use mesh_model::{ListenerName, name::Direction};
use std::{net::SocketAddr, sync::Arc};

/// What is known of a connection once its filter chain is picked and its TLS, if any, is established.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Number of the connection, unique in the process; `%CONNECTION_ID%`.
    pub id: u64,
    /// Listener that took it.
    pub listener: ListenerName,
    /// Direction of the listener.
    pub direction: Option<Direction>,
    /// The client's address; `%DOWNSTREAM_REMOTE_ADDRESS%`.
    pub peer: SocketAddr,
    /// Where the client wanted to go: the original destination where the rules redirected, else the local address;
    /// `%DOWNSTREAM_LOCAL_ADDRESS%`.
    pub destination: SocketAddr,
    /// Server name of the client's TLS hello, whether we terminate it or not; `%REQUESTED_SERVER_NAME%`.
    pub server_name: Option<Arc<str>>,
    /// TLS that we terminated; `None`: the bytes came as they are.
    pub tls: Option<DownstreamPeer>,
}

/// The other end of a TLS connection that we terminated.
#[derive(Clone, Debug)]
pub struct DownstreamPeer {
    /// First URI SAN of its certificate, a SPIFFE id; `None`: no certificate, or none in it.
    pub uri_san: Option<Arc<str>>,
    /// Our own URI SAN, for `By=` of `x-forwarded-client-cert`.
    pub local_uri_san: Option<Arc<str>>,
    /// The peer's leaf certificate, DER.
    pub certificate: Option<Arc<[u8]>>,
    /// Negotiated ALPN protocol.
    pub alpn: Option<Arc<str>>,
}

impl Connection {
    /// Whether both ends proved who they are, as `connection_security_policy` reports it.
    pub fn is_mutual_tls(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| tls.certificate.is_some())
    }
}
