//! One core: a thread that owns connections from accept to close, with what it does not share with the others.

use crate::{
    dns::Dns,
    drain::Drain,
    http::route,
    listener::{
        self, Listeners,
        accept::{self, Acceptor},
        dispatch::{Accepted, Inboxes, Loads},
        table::Table,
    },
    memory,
    publish::Reader,
    slot::SlotCache,
    telemetry::{Counter, Scope, Shard, Telemetry},
    tls, upstream,
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// What all workers and the control side share. There is one for the process.
#[derive(Debug, Default)]
pub struct Shared {
    /// Listeners.
    pub listeners: Listeners,
    /// Route tables.
    pub routes: route::Routes,
    /// Clusters.
    pub clusters: upstream::Clusters,
    /// Certificates and roots.
    pub secrets: tls::Secrets,
    /// The orderly end of connections.
    pub drain: Drain,
    /// The names of the mesh, for the application's DNS queries.
    pub dns: Arc<Dns>,
    /// Counters, metrics and logs.
    pub telemetry: Telemetry,
    /// Who we are, as metadata exchange sends it.
    pub metadata: Vec<u8>,
}

/// A worker's own state.
pub struct Worker {
    /// Number of the worker, from 0.
    pub id: usize,
    /// What is shared.
    pub shared: Arc<Shared>,
    /// Listeners as this worker sees them.
    pub listeners: Reader<Table>,
    /// Route tables as this worker sees them.
    pub routes: SlotCache<route::RouteTable>,
    /// Clusters as this worker sees them.
    pub clusters: SlotCache<upstream::Cluster>,
    /// Connections to endpoints.
    pub pools: upstream::Pools,
    /// Counters and logs.
    pub telemetry: Shard,
    /// What is counted of connections before their chain is picked.
    pub counters: ConnectionCounters,
}

/// What is counted of connections before their chain is picked (Envoy's listener statistics).
#[derive(Clone, Copy, Debug)]
pub struct ConnectionCounters {
    /// Accepted.
    pub total: Counter,
    /// Ended by a listener filter, or before there were bytes enough to tell their protocol.
    pub pre_cx_timeout: Counter,
    /// Taken by no filter chain.
    pub no_filter_chain_match: Counter,
    /// TLS could not be established.
    pub connection_error: Counter,
    /// Of those: because of the time, by one of the clocks.
    pub cert_time: Counter,
}

impl Worker {
    /// A worker that has nothing to do yet. To be made on its own thread.
    pub fn new(id: usize, shared: Arc<Shared>) -> Self {
        let counter = |name| {
            shared
                .telemetry
                .counter(Scope::Process("listener_manager"), name)
        };
        Self {
            id,
            listeners: Reader::default(),
            routes: SlotCache::default(),
            clusters: SlotCache::default(),
            pools: upstream::Pools::default(),
            telemetry: shared.telemetry.shard(),
            counters: ConnectionCounters {
                total: counter("downstream_cx_total"),
                pre_cx_timeout: counter("downstream_pre_cx_timeout"),
                no_filter_chain_match: counter("no_filter_chain_match"),
                connection_error: counter("ssl_connection_error"),
                cert_time: counter("ssl_fail_verify_cert_time"),
            },
            shared,
        }
    }
}

/// The worker threads of the process.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    /// Connections of each worker.
    pub loads: Arc<Loads>,
    stop_accepting: CancellationToken,
    stop: CancellationToken,
}

impl Workers {
    /// Starts `count` workers that all accept on `sockets`.
    ///
    /// # Errors
    /// If a thread can't be made, or a socket can't be duplicated.
    pub fn start(
        count: usize,
        shared: &Arc<Shared>,
        sockets: &[(SocketAddr, TcpListener)],
    ) -> io::Result<Self> {
        let (inboxes, received) = Inboxes::new(count);
        let mut workers = Self {
            threads: Vec::new(),
            loads: Loads::new(count),
            stop_accepting: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        let limit = accept::connection_limit();
        for (id, inbox) in received.into_iter().enumerate() {
            let start = Start {
                acceptor: Acceptor {
                    worker: id,
                    loads: Arc::clone(&workers.loads),
                    inboxes: inboxes.clone(),
                    limit,
                },
                sockets: sockets
                    .iter()
                    .map(|(at, socket)| Ok((*at, socket.try_clone()?)))
                    .collect::<io::Result<_>>()?,
                inbox,
                shared: Arc::clone(shared),
                stop_accepting: workers.stop_accepting.clone(),
                stop: workers.stop.clone(),
            };
            workers.threads.push(
                thread::Builder::new()
                    .name(format!("worker-{id}"))
                    .spawn(move || start.run())?,
            );
        }
        Ok(workers)
    }

    /// Stops accepting; what was accepted goes on.
    pub fn stop_accepting(&self) {
        self.stop_accepting.cancel();
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.loads.total()
    }

    /// Ends all that is left, and the threads.
    pub fn stop(self) {
        self.stop_accepting.cancel();
        self.stop.cancel();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

/// How often memory is given back, if connections have ended since.
const LULL: Duration = Duration::from_secs(2);

/// What a worker's thread starts with.
struct Start {
    acceptor: Acceptor,
    sockets: Vec<(SocketAddr, TcpListener)>,
    inbox: mpsc::UnboundedReceiver<Accepted>,
    shared: Arc<Shared>,
    stop_accepting: CancellationToken,
    stop: CancellationToken,
}

impl Start {
    fn run(self) {
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "a worker has no runtime"),
        };
        tokio::task::LocalSet::new().block_on(&runtime, self.work());
    }

    async fn work(mut self) {
        let worker = Rc::new(Worker::new(self.acceptor.worker, self.shared));
        let mut tasks = JoinSet::new();
        tasks.spawn_local(worker.telemetry.log_flusher());
        for (address, socket) in self.sockets {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => {
                    tasks.spawn_local(self.acceptor.clone().run(
                        listener,
                        address,
                        self.stop_accepting.clone(),
                    ));
                }
                Err(error) => tracing::error!(%error, %address, "a worker can't accept"),
            }
        }
        let mut lull = interval(LULL);
        lull.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ended_since = false;
        loop {
            tokio::select! {
                Some(accepted) = self.inbox.recv() => {
                    tasks.spawn_local(listener::serve(accepted, Rc::clone(&worker)));
                }
                Some(ended) = tasks.join_next() => {
                    ended_since = true;
                    report(&ended);
                }
                _ = lull.tick(), if ended_since => {
                    ended_since = false;
                    memory::give_back();
                }
                () = self.stop.cancelled() => break,
            }
        }
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        worker.telemetry.flush_logs();
    }
}

/// A panic ends one connection, and is told of.
fn report(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a panic");
    }
}
