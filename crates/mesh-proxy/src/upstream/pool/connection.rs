//! Pooled connections: what hyper gives us, with what we know about each.

use super::{
    super::{
        breaker::Permit,
        connect::Dialed,
        failure::{Failure, FailureKind},
        host::OpenConnection,
        witness::{Witness, Witnessed},
    },
    Pool,
};
use crate::{
    http::{Body, codec::LocalExec},
    telemetry::UpstreamRecord,
};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{task::spawn_local, time::Instant};

/// Largest head of a response, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Most bytes that one HTTP/1 connection buffers.
const MAX_BUFFER: usize = 256 * 1024;
/// HTTP/2: bytes that a peer may send on one stream before we read on.
const STREAM_WINDOW: u32 = 256 * 1024;
/// HTTP/2: the same on a connection. Large, for its streams belong to many clients: a few that do not read theirs must
/// not stop the others.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// HTTP/2: streams that are opened before the peer has said how many it allows.
const INITIAL_STREAMS: usize = 100;
/// HTTP/2: how often a connection with streams is asked for a sign of life, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// An idle connection that the host closed sooner tells nothing of its keep-alive.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_millis(100);

/// Facts about one connection.
#[derive(Debug)]
pub(super) struct Facts {
    /// Where it goes, as records tell it.
    pub(super) record: Rc<UpstreamRecord>,
    /// What was written and acknowledged.
    pub(super) witness: Arc<Witness>,
    /// HTTP/2: streams that the peer allows.
    pub(super) max_streams: Cell<usize>,
    idle_since: Cell<Option<Instant>>,
    requests: Cell<u64>,
    open: OpenConnection,
    _permit: Permit,
}

/// What is held for a connection that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) open: OpenConnection,
    pub(super) permit: Permit,
}

impl Facts {
    fn new(record: UpstreamRecord, witness: &Arc<Witness>, made: Made) -> Self {
        let Made { open, permit } = made;
        Self {
            record: Rc::new(record),
            witness: Arc::clone(witness),
            max_streams: Cell::new(INITIAL_STREAMS),
            idle_since: Cell::new(Some(Instant::now())),
            requests: Cell::new(0),
            open,
            _permit: permit,
        }
    }

    /// Notes that a request uses it.
    pub(super) fn used(&self) {
        self.requests.set(self.requests.get() + 1);
        self.idle_since.set(None);
    }

    /// Whether so many requests have used it.
    pub(super) fn has_served(&self, requests: u64) -> bool {
        self.requests.get() >= requests
    }

    /// Notes that no request uses it any more.
    pub(super) fn unused(&self) {
        self.idle_since.set(Some(Instant::now()));
    }

    /// How long no request has used it.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        self.idle_since.get().map(|since| since.elapsed())
    }

    /// The host.
    pub(super) fn host_address(&self) -> SocketAddr {
        self.open.host().address
    }
}

/// An HTTP/1 connection that no request uses.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) sender: http1::SendRequest<Body>,
    pub(super) facts: Rc<Facts>,
}

impl Idle {
    /// Whether a request may be sent on it: it is open, ready, and has not been idle for longer than `limit`.
    pub(super) fn is_usable(&self, limit: Option<Duration>) -> bool {
        let rested = self.facts.idle_for().unwrap_or_default();
        self.sender.is_ready() && !self.is_closed() && limit.is_none_or(|limit| rested < limit)
    }

    /// Whether it is closed, or the host has closed its side.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether no request has used it yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.facts.requests.get() == 0
    }
}

/// An HTTP/2 connection.
#[derive(Debug)]
pub(super) struct Multiplexed {
    pub(super) sender: http2::SendRequest<Body>,
    pub(super) facts: Rc<Facts>,
    pub(super) streams: Cell<u32>,
    /// It takes no further request.
    pub(super) is_retired: Cell<bool>,
    pub(super) pool: std::rc::Weak<Pool>,
}

impl Multiplexed {
    /// Whether one more request may be sent on it.
    pub(super) fn has_room(&self) -> bool {
        let most = self.pool.upgrade().map_or(0, |p| p.max_requests.get());
        !self.is_retired.get()
            && !self.facts.has_served(most)
            && !self.sender.is_closed()
            && (self.streams.get() as usize) < self.facts.max_streams.get()
    }

    /// Notes that a stream has ended.
    pub(super) fn stream_ended(self: &Rc<Self>) {
        self.streams.set(self.streams.get() - 1);
        if self.streams.get() == 0 {
            self.facts.unused();
        }
        if let Some(pool) = self.pool.upgrade() {
            pool.share(self);
        }
    }
}

/// Starts HTTP/1 on a new connection.
pub(super) async fn http1(
    pool: &Rc<Pool>,
    (dialed, record): (Dialed, UpstreamRecord),
    made: Made,
    preserve_header_case: bool,
) -> Result<Idle, Failure> {
    let witness = Witness::new();
    let facts = Rc::new(Facts::new(record, &witness, made));
    let io = TokioIo::new(Witnessed::new(dialed.io, witness));
    let (sender, connection) = http1::Builder::new()
        .preserve_header_case(preserve_header_case)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .handshake(io)
        .await
        .map_err(|e| Failure::connecting(FailureKind::RemoteConnectionFailure, e.to_string()))?;
    let (keeper, known) = (Rc::clone(pool), Rc::clone(&facts));
    keeper.open.set(keeper.open.get() + 1);
    spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(host = %known.host_address(), %error, "upstream connection");
        }
        keeper.learn(&known);
        drop(known);
        keeper.closed();
    });
    Ok(Idle { sender, facts })
}

/// Starts HTTP/2 on a new connection.
pub(super) async fn http2(
    pool: &Rc<Pool>,
    (dialed, record): (Dialed, UpstreamRecord),
    made: Made,
) -> Result<Rc<Multiplexed>, Failure> {
    let witness = Witness::new();
    let facts = Rc::new(Facts::new(record, &witness, made));
    let io = TokioIo::new(Witnessed::new(dialed.io, witness));
    let (sender, connection) = http2::Builder::new(LocalExec)
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD as u32)
        .max_send_buf_size(MAX_BUFFER)
        .initial_max_send_streams(INITIAL_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .handshake(io)
        .await
        .map_err(|e| Failure::connecting(FailureKind::RemoteConnectionFailure, e.to_string()))?;
    let (keeper, known) = (Rc::clone(pool), Rc::clone(&facts));
    keeper.open.set(keeper.open.get() + 1);
    spawn_local(async move {
        let mut connection = pin!(connection);
        let ended = poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            known.max_streams.set(connection.current_max_send_streams());
            ended
        });
        if let Err(error) = ended.await {
            tracing::debug!(host = %known.host_address(), %error, "upstream connection");
        }
        drop(known);
        let mut multiplexed = keeper.multiplexed.borrow_mut();
        multiplexed.retain(|c| !c.sender.is_closed());
        drop(multiplexed);
        keeper.closed();
    });
    Ok(Rc::new(Multiplexed {
        sender,
        facts,
        streams: Cell::new(0),
        is_retired: Cell::new(false),
        pool: Rc::downgrade(pool),
    }))
}

impl Pool {
    // The host closed an idle connection: from now on we close ours before it does, and do not race it.
    fn learn(&self, facts: &Facts) {
        if let Some(kept) = facts.idle_for()
            && facts.requests.get() > 0
            && facts.witness.peer_closed()
            && kept >= SHORTEST_KEEP_ALIVE
        {
            self.learn_keep_alive(kept);
        }
    }

    /// The host keeps idle connections for `kept`: we give up ours a second, or half of it, before.
    pub(super) fn learn_keep_alive(&self, kept: Duration) {
        let safe = kept.saturating_sub(Duration::from_secs(1)).max(kept / 2);
        let known = self.learned.get().unwrap_or(Duration::MAX);
        self.learned.set(Some(known.min(safe)));
    }
}
