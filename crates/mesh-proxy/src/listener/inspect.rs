//! Looks at the first bytes of a connection, without consuming them: TLS or not, HTTP or not.
//!
//! The bytes that were read go to the front of the stream again. A client that says nothing is waited for as long as the
//! listener and the caller allow, one that stops in the middle of what decides as long as the listener allows; past that
//! the connection goes on with what is known, or is closed, as the listener says.

use super::chain_match::Inspected;
use crate::tls::hello::{self, Hello};
use bytes::{Bytes, BytesMut};
use mesh_model::listener::{Listener, ListenerFilterKind, TransportProtocol};
use std::{io, net::SocketAddr, pin::pin, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, error::Elapsed, timeout_at},
};

mod request_line;
use request_line::RequestLine;

/// How long the rest of what decides is waited for where the listener would wait for ever: nothing hangs for ever here.
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
/// `quiet` ends when a client that has said nothing is to be waited for no longer.
///
/// # Errors
/// If the client leaves first, reading fails, or it says too little for longer than the listener allows.
pub async fn inspect(
    tcp: &mut TcpStream,
    destination: SocketAddr,
    source: SocketAddr,
    listener: &Listener,
    quiet: impl Future<Output = ()>,
) -> Result<(Inspected, Bytes), Error> {
    let wanted = Inspections::of(listener, destination.port());
    let limit = listener.listener_filters_timeout;
    let may_continue = limit.is_zero() || listener.continue_on_listener_filters_timeout;
    let mut deadline = (!limit.is_zero()).then(|| Instant::now() + limit);
    let mut quiet = pin!(quiet);
    let mut inspected = Inspected::silent(destination, source);
    let mut bytes = BytesMut::new();
    while !judge(wanted, &bytes, &mut inspected) {
        bytes.reserve(1024);
        let is_silent = bytes.is_empty();
        let read = tokio::select! {
            biased;
            read = until(deadline, tcp.read_buf(&mut bytes)) => read,
            () = &mut quiet, if is_silent => break,
        };
        match read {
            Ok(Ok(0)) if is_silent => return Err(Error::Closed),
            // Half-closed after too few bytes to tell: opaque.
            Ok(Ok(0)) => break,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Error::Read(error)),
            Err(_) if may_continue => break,
            Err(_) => return Err(Error::Timeout),
        }
        deadline.get_or_insert_with(|| Instant::now() + LONGEST_WAIT);
    }
    Ok((inspected, bytes.freeze()))
}

async fn until<T>(
    deadline: Option<Instant>,
    reading: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline, reading).await,
        None => Ok(reading.await),
    }
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
