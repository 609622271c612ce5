//! One connection, from accept to its chain's last filter.

use super::{
    chain_match::Inspected,
    compiled::{Chain, Listener, Terminal},
    dispatch::Accepted,
    inspect::{self, inspect},
    original_dst::{original_dst, unmapped},
};
use crate::{
    connection::{Connection, DownstreamPeer},
    flag::ResponseFlags,
    http,
    network::{metadata_exchange, tcp_proxy::Dialed},
    reason,
    telemetry::{TcpRecord, UpstreamRecord, Workload},
    tls::{Rewind, Stream},
    worker::Worker,
};
use bytes::Bytes;
use mesh_model::listener::ListenerFilterKind;
use std::{
    future::pending,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::{net::TcpStream, time::sleep};

/// Serves a connection to its end.
pub async fn serve(accepted: Accepted, worker: Rc<Worker>) {
    let Accepted {
        tcp,
        peer,
        socket,
        load,
    } = accepted;
    if let Err(error) = enter(tcp, unmapped(peer), socket, &worker).await {
        tracing::debug!(%peer, %socket, error = %reason::one_line(&error), "connection ended early");
    }
    // Counted as ours until here.
    drop(load);
}

/// Why a connection never reached its chain's last filter.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the socket can't be used")]
    Socket(#[from] io::Error),
    #[error("no listener has arrived for this socket")]
    NoListener,
    #[error("inspection")]
    Inspect(#[source] inspect::Error),
    #[error("the listener drains, and the client has said nothing")]
    Drained,
    #[error("no filter chain matches")]
    NoChain,
    #[error("TLS")]
    Tls(#[source] crate::tls::Error),
    #[error("refused: {0}")]
    Refused(String),
    #[error("metadata exchange")]
    Exchange(#[source] metadata_exchange::Error),
}

async fn enter(
    tcp: std::net::TcpStream,
    peer: SocketAddr,
    socket: SocketAddr,
    worker: &Rc<Worker>,
) -> Result<(), Ended> {
    let mut tcp = TcpStream::from_std(tcp)?;
    tcp.set_nodelay(true)?;
    let local = unmapped(tcp.local_addr()?);
    let count = |counter| worker.telemetry.add(counter, 1);
    let counters = worker.counters;
    let table = worker.listeners.get(&worker.shared.listeners.table);
    let first = table.of_socket(socket).ok_or(Ended::NoListener)?;
    let destination = if wants_original_dst(first) {
        original_dst(&tcp)?
    } else {
        local
    };
    let mut listener = Arc::clone(table.hand_off(first, destination));
    count(counters.total);
    let Heard {
        inspected,
        prefix,
        ahead,
    } = listen(&mut tcp, (destination, peer), &listener, worker).await?;
    if ahead.is_some() {
        // It took its time: other listeners may have come.
        let table = worker.listeners.get(&worker.shared.listeners.table);
        let first = table.of_socket(socket).ok_or(Ended::NoListener)?;
        listener = Arc::clone(table.hand_off(first, destination));
    }
    let connection = Connection {
        id: next_id(),
        listener: listener.model.name.clone(),
        direction: listener.model.direction,
        peer,
        destination,
        server_name: inspected.server_name.as_deref().map(Arc::from),
        tls: None,
    };
    let Some(chain) = listener.pick(&inspected) else {
        count(counters.no_filter_chain_match);
        no_route(&connection, &listener, worker);
        return Err(Ended::NoChain);
    };
    let dialed = ahead.and_then(|(of, dialed)| Arc::ptr_eq(&of, chain).then_some(dialed));
    walk(chain, connection, (tcp, prefix), dialed, worker).await
}

/// What the client said that decides its chain.
struct Heard {
    inspected: Inspected,
    prefix: Bytes,
    /// It was silent for so long that a server was dialled for it, by this chain.
    ahead: Option<(Arc<Chain>, Dialed)>,
}

/// Inspects what the client says. While it says nothing, the server that it would reach without a word is dialled: the
/// choice stays open until one of the two speaks, because who speaks late may still speak HTTP.
async fn listen(
    tcp: &mut TcpStream,
    (destination, peer): (SocketAddr, SocketAddr),
    listener: &Listener,
    worker: &Worker,
) -> Result<Heard, Ended> {
    let chain = listener
        .pick(&Inspected::silent(destination, peer))
        .filter(|chain| chain.tls.is_none())
        .filter(|chain| may_connect(chain, listener, (destination, peer)));
    let mut dialed = None;
    let quiet = async {
        match chain.map(|chain| &chain.terminal) {
            Some(Terminal::Tcp(proxy)) => {
                let ends = (destination, peer);
                proxy.overture(ends, worker, &mut dialed).await;
            }
            Some(Terminal::Http(_)) | None => sleep(inspect::LONGEST_WAIT).await,
        }
    };
    // Who comes while it drains has time to speak, too.
    let drained = async {
        match chain {
            Some(chain) => {
                sleep(inspect::LONGEST_WAIT).await;
                chain.drain.cancelled().await;
            }
            None => pending().await,
        }
    };
    let inspection = tokio::select! {
        biased;
        inspection = inspect(tcp, destination, peer, &listener.model, quiet) => inspection,
        () = drained => return Err(Ended::Drained),
    };
    let (inspected, prefix) = inspection
        .inspect_err(|_| worker.telemetry.add(worker.counters.pre_cx_timeout, 1))
        .map_err(Ended::Inspect)?;
    Ok(Heard {
        inspected,
        prefix,
        ahead: dialed.and_then(|dialed| Some((Arc::clone(chain?), dialed))),
    })
}

/// Whether a client that has said nothing may connect, so that a server may be dialled for it.
fn may_connect(
    chain: &Chain,
    listener: &Listener,
    (destination, peer): (SocketAddr, SocketAddr),
) -> bool {
    if chain.policies.is_empty() {
        return true;
    }
    let silent = Connection {
        id: 0,
        listener: listener.model.name.clone(),
        direction: listener.model.direction,
        peer,
        destination,
        server_name: None,
        tls: None,
    };
    !chain.policies.iter().any(|policy| policy.refuses(&silent))
}

fn wants_original_dst(listener: &Listener) -> bool {
    let has_filter = || {
        listener
            .model
            .listener_filters
            .iter()
            .any(|f| f.kind == ListenerFilterKind::OriginalDst)
    };
    listener.model.use_original_dst || has_filter()
}

fn count(error: &crate::tls::Error, worker: &Worker) {
    worker.telemetry.add(worker.counters.connection_error, 1);
    if matches!(error, crate::tls::Error::CertificateTime(_)) {
        worker.telemetry.add(worker.counters.cert_time, 1);
    }
}

/// TLS, metadata, and the last filter.
async fn walk(
    chain: &Arc<Chain>,
    mut connection: Connection,
    (tcp, prefix): (TcpStream, Bytes),
    dialed: Option<Dialed>,
    worker: &Rc<Worker>,
) -> Result<(), Ended> {
    let begun = (SystemTime::now(), Instant::now());
    let plain = Rewind::new(prefix, tcp);
    let mut stream = match &chain.tls {
        None => Stream::Plain(plain),
        Some(context) => {
            let accepted = context.accept(plain, chain.handshake_timeout).await;
            let (stream, peer) = accepted
                .inspect_err(|error| count(error, worker))
                .map_err(Ended::Tls)?;
            connection.tls = Some(peer);
            Stream::Server(Box::new(stream))
        }
    };
    let metadata = exchange(chain, &connection, &mut stream, worker).await?;
    for policy in &chain.policies {
        if let Err(details) = policy.judge(&connection, &worker.telemetry) {
            if let Terminal::Tcp(proxy) = &chain.terminal {
                let end = (begun, details.clone());
                proxy.refused(&connection, metadata.as_ref(), end, worker);
            }
            return Err(Ended::Refused(details));
        }
    }
    match &chain.terminal {
        Terminal::Http(manager) => {
            http::serve(
                stream,
                Rc::new(connection),
                Arc::clone(manager),
                Rc::clone(worker),
                chain.drain.clone(),
            )
            .await;
        }
        Terminal::Tcp(proxy) => {
            proxy
                .serve(stream, &connection, metadata.as_ref(), worker, dialed)
                .await
        }
    }
    Ok(())
}

/// The peer's metadata, if it negotiated the exchange.
async fn exchange(
    chain: &Chain,
    connection: &Connection,
    stream: &mut Stream,
    worker: &Worker,
) -> Result<Option<Workload>, Ended> {
    let negotiated =
        |tls: &DownstreamPeer| tls.alpn.as_deref() == Some(metadata_exchange::PROTOCOL);
    if !chain.exchanges_metadata || !connection.tls.as_ref().is_some_and(negotiated) {
        return Ok(None);
    }
    let ours = &worker.shared.metadata;
    metadata_exchange::exchange(stream, ours)
        .await
        .map(Some)
        .map_err(Ended::Exchange)
}

/// The log line of a connection that no chain takes.
fn no_route(connection: &Connection, listener: &Listener, worker: &Worker) {
    let record = TcpRecord {
        connection,
        start: SystemTime::now(),
        duration: Duration::ZERO,
        flags: ResponseFlags::NO_ROUTE_FOUND,
        details: Some("filter_chain_not_found".into()),
        termination_details: None,
        bytes_received: 0,
        bytes_sent: 0,
        upstream: &UpstreamRecord::default(),
        peer: None,
    };
    worker
        .telemetry
        .tcp_closed(&record, &listener.observers, None);
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}
