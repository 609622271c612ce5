//! HTTP connections of one worker, kept for the next request.
//!
//! A pool holds the connections to one host over one transport with one offer of protocols. HTTP/1 connections are lent
//! to one request at a time, the last one used first, so that those that are too many grow old and close; HTTP/2
//! connections are shared up to the peer's limit on streams. Nothing here is shared between workers but the permits of
//! the circuit breaker and the counters of the host.

mod connection;
mod lease;
mod sweep;
mod wait;

pub use lease::{Lease, SendError};

use self::{
    connection::{Idle, Made, Multiplexed},
    wait::{Delivery, Waiters},
};
use super::{
    breaker::{Permit, Resource},
    cluster::ClusterInfo,
    connect::dial,
    endpoint::Endpoint,
    failure::{Failure, FailureKind},
    host::{Host, OpenConnection},
    transport::Alpn,
};
use crate::telemetry::UpstreamRecord;
use mesh_model::cluster::UpstreamHttp;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::task::spawn_local;

/// Envoy's idle timeout of pooled connections.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// HTTP version spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// What `cluster` wants spoken for a request that came with `version`, where TLS does not negotiate it.
    pub fn wanted(cluster: UpstreamHttp, version: http::Version) -> Self {
        match cluster {
            UpstreamHttp::Http1 => Self::Http1,
            UpstreamHttp::Http2 => Self::Http2,
            UpstreamHttp::Downstream if version == http::Version::HTTP_2 => Self::Http2,
            UpstreamHttp::Downstream => Self::Http1,
        }
    }

    // What was negotiated decides; if it says nothing of HTTP, what was wanted.
    fn negotiated(self, alpn: Option<&str>) -> Self {
        match alpn {
            Some("h2") => Self::Http2,
            Some("http/1.1" | "http/1.0") => Self::Http1,
            _ => self,
        }
    }
}

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The cluster.
    pub info: &'a Arc<ClusterInfo>,
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// ALPN protocols to offer instead of the transport's own.
    pub alpn: Option<&'a Arc<Alpn>>,
    /// HTTP version, where TLS does not negotiate it.
    pub protocol: Protocol,
    /// The case of HTTP/1 header names is kept.
    pub preserve_header_case: bool,
    /// Only a connection that no request has used yet will do.
    pub fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    host: u64,
    transport: u32,
    alpn: u32,
    protocol: Protocol,
    preserve_header_case: bool,
}

/// All pools of a worker. Their connections run as tasks of the worker's `LocalSet`, and end with it.
#[derive(Clone, Debug, Default)]
pub struct Pools(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    pools: RefCell<HashMap<Key, Rc<Pool>, foldhash::fast::RandomState>>,
    sweeping: Cell<bool>,
}

/// The connections to one host over one transport with one offer of protocols.
#[derive(Debug)]
struct Pool {
    host: Arc<Host>,
    idle: RefCell<Vec<Idle>>,
    multiplexed: RefCell<Vec<Rc<Multiplexed>>>,
    waiters: Waiters,
    // Connections that are open, lent ones included, and those that are being made.
    open: Cell<u32>,
    connecting: Cell<u32>,
    idle_timeout: Cell<Option<Duration>>,
    // Requests after which a connection takes no more.
    max_requests: Cell<u64>,
    // How long the host keeps idle connections, as far as we saw.
    learned: Cell<Option<Duration>>,
}

impl Pools {
    /// A connection for one request.
    ///
    /// # Errors
    /// If a limit is reached, or no connection can be made.
    pub async fn lease(&self, wanted: Wanted<'_>) -> Result<Lease, Failure> {
        let pool = self.pool(&wanted);
        let timeout = (wanted.info.model.idle_timeout).unwrap_or(DEFAULT_IDLE_TIMEOUT);
        pool.idle_timeout
            .set((!timeout.is_zero()).then_some(timeout));
        let requests = wanted.info.model.max_requests_per_connection;
        pool.max_requests
            .set(requests.map_or(u64::MAX, |n| n.get().into()));
        if !wanted.fresh
            && let Some(lease) = pool.take()
        {
            return Ok(lease);
        }
        self.0.start_sweeping();
        pool.wait(wanted).await
    }

    fn pool(&self, wanted: &Wanted<'_>) -> Rc<Pool> {
        let key = Key {
            host: wanted.endpoint.host.id,
            transport: wanted.endpoint.transport.id,
            alpn: wanted.alpn.map_or(0, |a| a.id),
            protocol: wanted.protocol,
            preserve_header_case: wanted.preserve_header_case,
        };
        let mut pools = self.0.pools.borrow_mut();
        let pool = pools.entry(key).or_insert_with(|| {
            Rc::new(Pool {
                host: Arc::clone(&wanted.endpoint.host),
                idle: RefCell::default(),
                multiplexed: RefCell::default(),
                waiters: Waiters::default(),
                open: Cell::new(0),
                connecting: Cell::new(0),
                idle_timeout: Cell::new(None),
                max_requests: Cell::new(u64::MAX),
                learned: Cell::new(None),
            })
        });
        Rc::clone(pool)
    }
}

impl Pool {
    // A connection that is there and can take a request.
    fn take(self: &Rc<Self>) -> Option<Lease> {
        let limit = self.idle_limit();
        let mut idle = self.idle.borrow_mut();
        while let Some(connection) = idle.pop() {
            if connection.is_usable(limit) {
                return Some(Lease::http1(self, connection, true));
            }
        }
        let shared = self.multiplexed.borrow();
        let free = shared.iter().find(|c| c.has_room())?;
        Some(Lease::http2(free))
    }

    fn idle_limit(&self) -> Option<Duration> {
        match (self.idle_timeout.get(), self.learned.get()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    // Waits for whichever comes first: a connection that another request gives back, or one made for this.
    async fn wait(self: Rc<Self>, wanted: Wanted<'_>) -> Result<Lease, Failure> {
        let limits = &wanted.info.model.limits;
        let pending = wanted
            .info
            .breaker
            .acquire(limits, Resource::PendingRequests);
        let overflow = || Failure::unsent(FailureKind::Overflow);
        let _pending = pending.ok_or_else(overflow)?;
        loop {
            let (id, delivery) = self.waiters.enqueue();
            if !self.a_connection_is_on_its_way(&wanted) {
                self.connect(&wanted, id)?;
            }
            match delivery.await {
                Ok(Delivery::Ready(lease)) => return Ok(*lease),
                Ok(Delivery::Failed(failure)) => return Err(failure),
                Ok(Delivery::Again) | Err(_) => {}
            }
        }
    }

    // One HTTP/2 connection serves all who wait for it.
    fn a_connection_is_on_its_way(&self, wanted: &Wanted<'_>) -> bool {
        wanted.protocol == Protocol::Http2 && !wanted.fresh && self.connecting.get() > 0
    }

    // Makes a connection for the waiter `id`; it may be served from elsewhere before. Without a permit it has to wait
    // for a connection that is there.
    fn connect(self: &Rc<Self>, wanted: &Wanted<'_>, id: u64) -> Result<(), Failure> {
        let (limits, breaker) = (&wanted.info.model.limits, &wanted.info.breaker);
        let permit = match breaker.acquire(limits, Resource::Connections) {
            Some(permit) => permit,
            None if self.open.get() + self.connecting.get() == 0 => {
                breaker.force(limits, Resource::Connections)
            }
            None => return Ok(()),
        };
        let making = Making {
            pool: Rc::clone(self),
            info: Arc::clone(wanted.info),
            endpoint: wanted.endpoint.clone(),
            alpn: wanted.alpn.cloned(),
            protocol: wanted.protocol,
            preserve_header_case: wanted.preserve_header_case,
            waiter: id,
        };
        self.connecting.set(self.connecting.get() + 1);
        spawn_local(making.run(permit));
        Ok(())
    }

    // A connection was given back, or is new: the first who waits gets it.
    fn offer(self: &Rc<Self>, connection: Idle) {
        if connection.is_closed() || connection.facts.has_served(self.max_requests.get()) {
            return;
        }
        let fresh = connection.is_fresh();
        let mut lease = Lease::http1(self, connection, !fresh);
        while let Some(waiter) = self.waiters.next() {
            match waiter.send(Delivery::Ready(Box::new(lease))) {
                Ok(()) => return,
                Err(Delivery::Ready(back)) => lease = *back,
                Err(_) => return,
            }
        }
        if let Some(connection) = lease.into_idle() {
            self.idle.borrow_mut().push(connection);
        }
    }

    // A shared connection has room: all who wait get a stream, as far as there are any.
    fn share(&self, connection: &Rc<Multiplexed>) {
        while connection.has_room() {
            let Some(waiter) = self.waiters.next() else {
                return;
            };
            let lease = Lease::http2(connection);
            let _ = waiter.send(Delivery::Ready(Box::new(lease)));
        }
        // It will never have room again: one of those who still wait makes another for all of them.
        if connection.facts.has_served(self.max_requests.get())
            && let Some(waiter) = self.waiters.next()
        {
            let _ = waiter.send(Delivery::Again);
        }
    }

    // A connection is gone. Whoever waits for one to be given back, while none is being made for it, must look again.
    fn closed(&self) {
        self.open.set(self.open.get() - 1);
        if self.waiters.count() > self.connecting.get() as usize
            && let Some(waiter) = self.waiters.next()
        {
            let _ = waiter.send(Delivery::Again);
        }
    }
}

/// A connection that is being made.
struct Making {
    pool: Rc<Pool>,
    info: Arc<ClusterInfo>,
    endpoint: Endpoint,
    alpn: Option<Arc<Alpn>>,
    protocol: Protocol,
    preserve_header_case: bool,
    waiter: u64,
}

impl Making {
    async fn run(self, permit: Permit) {
        let result = self.make(permit).await;
        self.pool.connecting.set(self.pool.connecting.get() - 1);
        if let Err(failure) = result {
            self.failed(failure);
        }
    }

    async fn make(&self, permit: Permit) -> Result<(), Failure> {
        let open = OpenConnection::new(&self.endpoint.host);
        let made = Made { open, permit };
        let alpn = self.alpn.as_ref().map(|a| &*a.protocols);
        let dialed = dial(&self.info, &self.endpoint, alpn).await?;
        let record = UpstreamRecord {
            host: Some(self.endpoint.host.address),
            local: dialed.local,
            peer_principal: dialed.peer.clone(),
            workload: self.endpoint.workload.clone(),
            ..self.info.record()
        };
        let protocol = self.protocol.negotiated(dialed.alpn.as_deref());
        let dialed = (dialed, record);
        match protocol {
            Protocol::Http1 => {
                let case = self.preserve_header_case;
                let connection = connection::http1(&self.pool, dialed, made, case).await?;
                self.pool.offer(connection);
            }
            Protocol::Http2 => {
                let connection = connection::http2(&self.pool, dialed, made).await?;
                let shared = Rc::clone(&connection);
                self.pool.multiplexed.borrow_mut().push(shared);
                self.pool.share(&connection);
            }
        }
        Ok(())
    }

    // Those who share the attempt share its failure; else only the one for whom it was made, if it still waits.
    fn failed(&self, failure: Failure) {
        let alone = self.pool.open.get() + self.pool.connecting.get() == 0;
        if alone || self.protocol == Protocol::Http2 {
            while let Some(waiter) = self.pool.waiters.next() {
                let _ = waiter.send(Delivery::Failed(failure.clone()));
            }
        } else if let Some(waiter) = self.pool.waiters.take(self.waiter) {
            let _ = waiter.send(Delivery::Failed(failure));
        }
    }
}
