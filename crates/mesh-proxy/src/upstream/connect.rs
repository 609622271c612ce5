//! Makes one connection to an endpoint: dial, bind the source address, encrypt.

use super::{
    balance::Pick,
    breaker::{Permit, Resource},
    cluster::ClusterInfo,
    clusters::ClusterSlot,
    endpoint::Endpoint,
    failure::{Failure, FailureKind},
    host::OpenConnection,
    outlier::Outcome,
};
use crate::{
    reason,
    telemetry::UpstreamRecord,
    tls::{self, Stream},
    worker::Worker,
};
use nix::sys::socket::{setsockopt, sockopt};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Unacknowledged bytes end a connection after this time: a peer that vanished is noticed.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Where the client wanted to go.
    pub original_dst: Option<SocketAddr>,
    /// What keeps it together with others, where the cluster hashes.
    pub hash: Option<u64>,
    /// ALPN protocols to offer instead of the transport's own.
    pub alpn: Option<&'a [String]>,
}

/// A connection for bytes.
#[derive(Debug)]
pub struct Tcp {
    /// The bytes.
    pub io: Stream,
    /// Negotiated ALPN protocol, if TLS was spoken.
    pub alpn: Option<Arc<str>>,
    /// Where it went.
    pub record: UpstreamRecord,
    /// To be kept as long as the connection is open.
    pub guard: Guard,
}

/// Counts a connection as open while it lives.
#[derive(Debug)]
pub struct Guard {
    _connection: OpenConnection,
    _permit: Permit,
}

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
#[error("no connection to {}", record.host.map_or_else(|| "any endpoint".to_owned(), |h| h.to_string()))]
pub struct Failed {
    /// Why.
    #[source]
    pub failure: Failure,
    /// Where it was to go, as far as that was decided.
    pub record: UpstreamRecord,
}

/// Connects to an endpoint of the cluster in `slot`.
///
/// # Errors
/// If the cluster or an endpoint is missing, a limit is reached, or the connection or TLS on it fails.
pub async fn connect(
    worker: &Worker,
    slot: &ClusterSlot,
    request: Request<'_>,
) -> Result<Tcp, Box<Failed>> {
    let mut record = UpstreamRecord {
        cluster: Some(slot.name().as_str().into()),
        ..UpstreamRecord::default()
    };
    match attempt(worker, slot, request, &mut record).await {
        Ok((dialed, guard)) => Ok(Tcp {
            io: dialed.io,
            alpn: dialed.alpn,
            record,
            guard,
        }),
        Err(failure) => {
            record.transport_failure.clone_from(&failure.transport);
            Err(Box::new(Failed { failure, record }))
        }
    }
}

async fn attempt(
    worker: &Worker,
    slot: &ClusterSlot,
    request: Request<'_>,
    record: &mut UpstreamRecord,
) -> Result<(Dialed, Guard), Failure> {
    let snapshot = worker.clusters.get(slot);
    let cluster = (*snapshot).as_ref().ok_or_else(no_cluster)?;
    *record = cluster.info.record();
    let endpoint = cluster.endpoint(&Pick {
        original_dst: request.original_dst,
        hash: request.hash,
        ..Pick::default()
    })?;
    record.host = Some(endpoint.host.address);
    record.workload.clone_from(&endpoint.workload);
    let limits = &cluster.info.model.limits;
    let permit = cluster.info.breaker.acquire(limits, Resource::Connections);
    let permit = permit.ok_or_else(|| Failure::unsent(FailureKind::Overflow))?;
    let connection = OpenConnection::new(&endpoint.host);
    let dialed = dial(&cluster.info, &endpoint, request.alpn).await;
    match &dialed {
        Ok(_) => cluster.info.put(&endpoint.host, Outcome::Served),
        Err(failure) if failure.kind == FailureKind::ConnectionTimeout => {
            cluster.info.put(&endpoint.host, Outcome::TimedOut);
        }
        Err(failure) => cluster.info.put_failure(&endpoint.host, failure),
    }
    let dialed = dialed?;
    record.local = dialed.local;
    record.peer_principal.clone_from(&dialed.peer);
    let guard = Guard {
        _connection: connection,
        _permit: permit,
    };
    Ok((dialed, guard))
}

fn no_cluster() -> Failure {
    Failure::unsent(FailureKind::NoCluster)
}

/// A connection that was just made.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) io: Stream,
    pub(super) local: Option<SocketAddr>,
    pub(super) alpn: Option<Arc<str>>,
    pub(super) peer: Option<Arc<str>>,
}

/// Connects to `endpoint`, TLS included, within the cluster's connect timeout.
pub(super) async fn dial(
    info: &ClusterInfo,
    endpoint: &Endpoint,
    alpn: Option<&[String]>,
) -> Result<Dialed, Failure> {
    let connecting = open(info, endpoint, alpn);
    let result = match timeout(info.model.connect_timeout, connecting).await {
        Ok(result) => result,
        Err(_) => Err(Failure::unsent(FailureKind::ConnectionTimeout)),
    };
    match &result {
        Ok(_) => endpoint.host.connect_succeeded(),
        Err(failure) if failure.kind == FailureKind::LocalConnectionFailure => {}
        Err(_) => endpoint.host.connect_failed(),
    }
    result
}

async fn open(
    info: &ClusterInfo,
    endpoint: &Endpoint,
    alpn: Option<&[String]>,
) -> Result<Dialed, Failure> {
    let tcp = tcp(endpoint.host.address, info.model.source_address)
        .await
        .map_err(|error| refused(&error))?;
    let local = tcp.local_addr().ok();
    let Some(context) = endpoint.transport.tls() else {
        return Ok(Dialed {
            io: Stream::plain(tcp),
            local,
            alpn: None,
            peer: None,
        });
    };
    let connected = context
        .connect(tcp, alpn)
        .await
        .map_err(|e| untrusted(&e))?;
    Ok(Dialed {
        io: Stream::Client(connected.stream),
        local,
        alpn: connected.alpn,
        peer: connected.peer_uri_san,
    })
}

async fn tcp(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_nodelay(true)?;
    socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    if let Some(source) = source
        && source.is_ipv4() == address.is_ipv4()
    {
        // The port is chosen by connect(2), where it need be unique only together with the destination: else a pod could
        // not have more connections from this one address than there are ephemeral ports.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind((source, 0).into())?;
    }
    socket.connect(address).await
}

// Envoy's words for what connect(2) says.
fn refused(error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => "delayed connect error: Connection refused".to_owned(),
        _ => format!("delayed connect error: {}", without_code(error)),
    };
    Failure::connecting(FailureKind::RemoteConnectionFailure, reason)
}

fn without_code(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn untrusted(error: &tls::Error) -> Failure {
    let kind = match error {
        tls::Error::Handshake(_) | tls::Error::CertificateTime(_) | tls::Error::Timeout => {
            FailureKind::RemoteConnectionFailure
        }
        tls::Error::SecretMissing(_)
        | tls::Error::SecretKind(..)
        | tls::Error::Context(_)
        | tls::Error::ServerName(_) => FailureKind::LocalConnectionFailure,
    };
    Failure::connecting(kind, format!("TLS_error: {}", reason::one_line(error)))
}
