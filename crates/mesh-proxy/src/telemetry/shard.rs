//! A worker's part of the telemetry.

use super::{
    Counter, Gauge, Observers, RequestRecord, TcpRecord, Telemetry,
    access_log::{Buffers, Line},
    counter::Block,
    label,
    series::{Connections, Requests, Series, Worker, grow},
};
use crate::telemetry::Workload;
use mesh_model::{cluster::ServiceRef, filter::Stats};
use std::{
    cell::RefCell,
    hash::{BuildHasher, Hash, Hasher},
    rc::Rc,
    sync::Arc,
};

/// Slots for what was counted last, found without looking at the labels.
const RECENT: usize = 256;

/// The counters and log buffers of one worker. Stays on its thread.
pub struct Shard {
    telemetry: Telemetry,
    counters: Arc<Block>,
    requests: RefCell<RequestSeries>,
    connections: RefCell<Worker<Connections>>,
    labels: RefCell<String>,
    logs: Rc<Buffers>,
}

struct RequestSeries {
    all: Worker<Requests>,
    recent: Box<[Option<Recent>]>,
    hasher: foldhash::fast::RandomState,
}

/// Where requests like an earlier one are counted.
struct Recent {
    // Of all that the labels are made of. Two different requests have the same once in 2⁶⁴, and are then counted as one.
    hash: u64,
    // Some of it goes into the hash by address: held, so that nothing else gets that address.
    _held: (Option<Arc<ServiceRef>>, Option<Arc<Workload>>),
    series: Arc<Series<Requests>>,
}

/// A TCP connection that is open.
#[derive(Debug)]
#[must_use = "a connection that was opened has to be closed"]
pub struct TcpMeter {
    series: Option<Arc<Series<Connections>>>,
    received: u64,
    sent: u64,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}

impl Shard {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        let requests = RequestSeries {
            all: telemetry.0.requests.worker(),
            recent: std::iter::repeat_with(|| None).take(RECENT).collect(),
            hasher: foldhash::fast::RandomState::default(),
        };
        Self {
            counters: telemetry.0.counters.block(),
            requests: RefCell::new(requests),
            connections: RefCell::new(telemetry.0.connections.worker()),
            labels: RefCell::default(),
            logs: Rc::new(Buffers::new(telemetry.0.sinks.clone())),
            telemetry,
        }
    }

    /// Measures and logs a finished request.
    pub fn request(&self, record: &RequestRecord<'_>, observers: &Observers) {
        if let Some(stats) = observers.stats {
            let series = self.request_series(record, stats);
            let numbers = &series.numbers;
            grow(&numbers.total, 1);
            let milliseconds = u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX);
            numbers.duration_milliseconds.record(milliseconds);
            numbers.request_bytes.record(record.bytes_received);
            numbers.response_bytes.record(record.bytes_sent);
            if let Some((requests, responses)) = record.messages {
                grow(&numbers.request_messages, requests);
                grow(&numbers.response_messages, responses);
            }
        }
        self.log(&Line::Request(record), observers);
    }

    /// Measures a TCP connection whose upstream is connected. To be handed to [`Shard::tcp_closed`] at its end.
    pub fn tcp_opened(&self, record: &TcpRecord<'_>, observers: &Observers) -> TcpMeter {
        let series = observers.stats.map(|_| self.tcp_series(record));
        if let Some(series) = &series {
            grow(&series.numbers.opened, 1);
        }
        TcpMeter {
            series,
            received: 0,
            sent: 0,
        }
    }

    /// Measures and logs a TCP connection at its end. Without a meter, as for one that no filter chain took, it is only
    /// logged.
    pub fn tcp_closed(
        &self,
        record: &TcpRecord<'_>,
        observers: &Observers,
        meter: Option<TcpMeter>,
    ) {
        if let Some(mut meter) = meter {
            meter.progress(record.bytes_received, record.bytes_sent);
            if meter.series.is_some() {
                // By what is known now: the flags came with the end.
                grow(&self.tcp_series(record).numbers.closed, 1);
            }
        }
        self.log(&Line::Tcp(record), observers);
    }

    /// Adds to a counter.
    pub fn add(&self, counter: Counter, n: u64) {
        self.counters.add(counter, n);
    }

    /// Raises a gauge by one.
    pub fn raise(&self, gauge: Gauge) {
        self.counters.raise(gauge, 1);
    }

    /// Lowers a gauge by one.
    pub fn lower(&self, gauge: Gauge) {
        self.counters.lower(gauge, 1);
    }

    /// Hands the log lines so far over to be written.
    pub fn flush_logs(&self) {
        self.logs.flush();
    }

    /// Hands log lines over at most a second after they were formatted. The worker runs it beside its connections; it
    /// ends with the shard's owner, and sleeps while nothing is logged.
    pub fn log_flusher(&self) -> impl Future<Output = ()> + use<> {
        Rc::clone(&self.logs).run()
    }

    /// The process's part.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    fn log(&self, line: &Line<'_>, observers: &Observers) {
        for log in &observers.logs {
            if log.wants(line) {
                self.logs.push(log, line);
            }
        }
    }

    fn request_series(&self, record: &RequestRecord<'_>, stats: Stats) -> Arc<Series<Requests>> {
        let mut requests = self.requests.borrow_mut();
        let hash = requests.hash(record, stats);
        let place = hash as usize % RECENT;
        if let Some(recent) = &requests.recent[place]
            && recent.hash == hash
        {
            return Arc::clone(&recent.series);
        }
        let mut labels = self.labels.borrow_mut();
        labels.clear();
        label::request(&self.telemetry.0.local, record, stats, &mut labels);
        let overflow = || label::overflow(record.connection.direction, true);
        let registry = &self.telemetry.0.requests;
        let series = requests.all.series(registry, &labels, overflow);
        requests.recent[place] = Some(Recent {
            hash,
            _held: (
                record.upstream.service.clone(),
                record.upstream.workload.clone(),
            ),
            series: Arc::clone(&series),
        });
        series
    }

    fn tcp_series(&self, record: &TcpRecord<'_>) -> Arc<Series<Connections>> {
        let mut labels = self.labels.borrow_mut();
        labels.clear();
        label::tcp(&self.telemetry.0.local, record, &mut labels);
        let overflow = || label::overflow(record.connection.direction, false);
        let registry = &self.telemetry.0.connections;
        let mut connections = self.connections.borrow_mut();
        connections.series(registry, &labels, overflow)
    }
}

impl RequestSeries {
    /// Of everything that `label::request` looks at. What our own configuration holds goes in by address, what a peer
    /// sent by content.
    fn hash(&self, record: &RequestRecord<'_>, stats: Stats) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let (connection, upstream) = (record.connection, record.upstream);
        connection.direction.hash(&mut hasher);
        let address =
            |of: Option<*const ()>, hasher: &mut _| (of.map_or(0, |p| p as usize)).hash(hasher);
        let service = upstream.service.as_ref();
        address(service.map(|s| Arc::as_ptr(s).cast()), &mut hasher);
        let workload = upstream.workload.as_ref();
        address(workload.map(|w| Arc::as_ptr(w).cast()), &mut hasher);
        if service.is_none() {
            upstream.cluster.hash(&mut hasher);
            (!stats.disable_host_header_fallback)
                .then_some(record.authority)
                .hash(&mut hasher);
        }
        record.peer.hash(&mut hasher);
        if let Some(tls) = &connection.tls {
            (&tls.uri_san, &tls.local_uri_san, tls.certificate.is_some()).hash(&mut hasher);
        }
        upstream.peer_principal.hash(&mut hasher);
        (record.is_grpc, record.grpc_status, record.flags).hash(&mut hasher);
        record.status.hash(&mut hasher);
        hasher.finish()
    }
}

impl TcpMeter {
    /// Reports how many bytes have passed since the connection was opened. To be called now and then while it lives.
    pub fn progress(&mut self, received: u64, sent: u64) {
        if let Some(series) = &self.series {
            grow(
                &series.numbers.received_bytes,
                received.saturating_sub(self.received),
            );
            grow(&series.numbers.sent_bytes, sent.saturating_sub(self.sent));
        }
        (self.received, self.sent) = (received, sent);
    }
}
