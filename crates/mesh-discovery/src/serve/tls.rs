//! TLS handshakes of port 15012: each in a task of its own and within a time, so that a slow one holds up nobody.
//!
//! The configuration is read for each connection, so that a renewed certificate counts from the next one on.

use super::connection::Connection;
use crate::ca::{
    caller::{Peer, PeerCertificate},
    server_certificate::ServerCertificate,
};
use mesh_runtime::listen;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once; a further connection is closed.
const MAX_HANDSHAKES: usize = 4096;

/// A connection whose handshake is done.
pub type Secured = Connection<TlsStream<TcpStream>>;

/// Accepts and shakes hands until the other end of `ready` is gone.
pub async fn accept(
    listener: TcpListener,
    certificate: Arc<ServerCertificate>,
    trust_domain: Arc<str>,
    ready: mpsc::Sender<io::Result<Secured>>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        let (stream, address) = tokio::select! {
            accepted = listen::accept(&listener) => accepted,
            Some(_) = handshakes.join_next() => continue,
            () = ready.closed() => return,
        };
        if handshakes.len() >= MAX_HANDSHAKES {
            tracing::warn!(%address, "too many handshakes at once, closed a connection");
            continue;
        }
        let (acceptor, trust_domain, ready) = (
            TlsAcceptor::from(certificate.config()),
            trust_domain.clone(),
            ready.clone(),
        );
        handshakes.spawn(async move {
            match shake_hands(acceptor, stream, address, &trust_domain).await {
                // The server is gone, and with it the need for the connection.
                Ok(secured) => drop(ready.send(Ok(secured)).await),
                Err(reason) => tracing::debug!(%address, %reason, "no TLS"),
            }
        });
    }
}

async fn shake_hands(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    trust_domain: &str,
) -> io::Result<Secured> {
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate =
        certificates.and_then(|chain| PeerCertificate::read(chain.first()?, trust_domain));
    let peer = Peer {
        address,
        certificate,
        since: Instant::now(),
    };
    Ok(Connection::new(stream, peer))
}

#[cfg(test)]
mod tests;
