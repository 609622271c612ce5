//! Looks at the first bytes of a connection, without consuming them: TLS or not, HTTP or not.
//!
//! The bytes that were read go to the front of the stream again. A client that says nothing is waited for as long as the
//! listener allows; past that the connection goes on with what is known, or is closed, as the listener says.

use super::chain_match::Inspected;
use crate::tls::hello::{self, Hello};
use bytes::{Bytes, BytesMut};
use mesh_model::listener::{Listener, ListenerFilterKind, TransportProtocol};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, timeout_at},
};

mod request_line;
use request_line::RequestLine;

/// How long a silent client is waited for where the listener would wait for ever: nothing hangs for ever here.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Which inspections a listener asks for, at one destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspections {
    tls: bool,
    http: bool,
}

/// Why a connection ends before its chain is picked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client left.
    #[error("the client closed the connection before it said anything that decides its protocol")]
    Closed,
    /// The client said too little for too long.
    #[error("listener filters timed out")]
    Timeout,
    /// Reading failed.
    #[error("reading the first bytes")]
    Read(#[source] io::Error),
}

impl Inspections {
    /// What `listener` asks for connections to `port`.
    pub fn of(listener: &Listener, port: u16) -> Self {
        let has = |kind| {
            let applies = |f: &&mesh_model::listener::ListenerFilter| {
                !f.disabled.as_ref().is_some_and(|d| d.matches(port))
            };
            listener
                .listener_filters
                .iter()
                .filter(applies)
                .any(|f| f.kind == kind)
        };
        Self {
            tls: has(ListenerFilterKind::TlsInspector),
            http: has(ListenerFilterKind::HttpInspector),
        }
    }
}

/// Inspects a connection. Returns what was found, with the bytes that have to be read again.
///
/// # Errors
/// If the client leaves first, reading fails, or it says too little for longer than the listener allows.
pub async fn inspect(
    tcp: &mut TcpStream,
    destination: SocketAddr,
    source: SocketAddr,
    listener: &Listener,
) -> Result<(Inspected, Bytes), Error> {
    let wanted = Inspections::of(listener, destination.port());
    let limit = listener.listener_filters_timeout;
    let (limit, may_continue) = if limit.is_zero() {
        (LONGEST_WAIT, true)
    } else {
        (limit, listener.continue_on_listener_filters_timeout)
    };
    let deadline = Instant::now() + limit;
    let mut inspected = Inspected {
        destination,
        source,
        transport: TransportProtocol::RawBuffer,
        server_name: None,
        application_protocols: Vec::new(),
    };
    let mut bytes = BytesMut::new();
    while !judge(wanted, &bytes, &mut inspected) {
        bytes.reserve(1024);
        match timeout_at(deadline, tcp.read_buf(&mut bytes)).await {
            Ok(Ok(0)) if bytes.is_empty() => return Err(Error::Closed),
            // Half-closed after too few bytes to tell: opaque.
            Ok(Ok(0)) => break,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Error::Read(error)),
            Err(_) if may_continue => break,
            Err(_) => return Err(Error::Timeout),
        }
    }
    Ok((inspected, bytes.freeze()))
}

/// Writes into `found` what `bytes` tell; whether that is all there is to find.
fn judge(wanted: Inspections, bytes: &[u8], found: &mut Inspected) -> bool {
    if wanted.tls {
        match hello::read(bytes) {
            Hello::Incomplete => return false,
            Hello::Tls(hello) => {
                found.transport = TransportProtocol::Tls;
                found.server_name = hello.server_name;
                found.application_protocols = hello.alpn;
                return true;
            }
            Hello::NotTls => {}
        }
    }
    if wanted.http {
        match request_line::read(bytes) {
            RequestLine::Incomplete => return false,
            RequestLine::NotHttp => {}
            RequestLine::Http(protocol) => found.application_protocols = vec![protocol.into()],
        }
    }
    true
}

#[cfg(test)]
mod tests;
