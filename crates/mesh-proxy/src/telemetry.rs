//! Beside the path: what is measured and logged of traffic.
//!
//! A worker owns a [`Shard`]: counters that it alone writes and buffers for log lines. It hands a record over once, when
//! a request or a connection is finished. Other threads only read the counters, when somebody asks; lines are written
//! by a thread of their own, so that neither a slow reader nor a blocked pipe holds up traffic.

pub mod access_log; // formats, compiled once; lines, written in batches
pub mod counter; //    Envoy's counters and gauges, found by index
pub mod exposition; // all of it in Prometheus' text form
pub mod observers; //  what one listener wants of it
pub mod record; //     what one request, or one connection, left behind
pub mod shard; //      a worker's part
pub mod substitution; // text with operators

mod histogram; // Envoy's buckets
mod label; //     a record → the labels of Istio's metrics
mod series; //    numbers under a set of labels

pub use counter::{Counter, Gauge, Scope, Stat};
pub use observers::Observers;
pub use record::{RequestRecord, TcpRecord, UpstreamRecord, Workload};
pub use shard::{Shard, TcpMeter};

use crate::config::Settings;
use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::Duration};

/// Label sets of requests that are kept apart; what comes later is counted under `overflow`. A label set costs some
/// sixty lines of a scrape.
const MOST_REQUEST_SERIES: usize = 2000;
/// As [`MOST_REQUEST_SERIES`], of TCP connections.
const MOST_TCP_SERIES: usize = 2000;

/// All that is measured in the process. Cloning shares it.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    local: label::Local,
    counters: counter::Registry,
    requests: series::Registry<series::Requests>,
    connections: series::Registry<series::Connections>,
    sinks: access_log::Sinks,
    sources: Mutex<Vec<Source>>,
}

/// Gives numbers that somebody else keeps.
type Source = Box<dyn Fn(&mut Vec<Stat>) + Send + Sync>;

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// For a workload of which nothing is known.
impl Default for Telemetry {
    fn default() -> Self {
        Self::of(label::Local::default())
    }
}

impl Telemetry {
    /// For the workload that `settings` describe.
    pub fn new(settings: &Settings) -> Self {
        Self::of(label::Local::new(settings))
    }

    fn of(local: label::Local) -> Self {
        Self(Arc::new(Inner {
            local,
            counters: counter::Registry::default(),
            requests: series::Registry::new(MOST_REQUEST_SERIES),
            connections: series::Registry::new(MOST_TCP_SERIES),
            sinks: access_log::Sinks::default(),
            sources: Mutex::default(),
        }))
    }

    /// The workload that the proxy stands beside.
    pub fn workload(&self) -> &Arc<Workload> {
        &self.0.local.workload
    }

    /// A new worker's part.
    pub fn shard(&self) -> Shard {
        Shard::new(self.clone())
    }

    /// The counter of that name, made if it is new. For when configuration is compiled: takes a lock.
    pub fn counter(&self, scope: Scope, name: &'static str) -> Counter {
        self.0.counters.counter(scope, name)
    }

    /// The gauge of that name, made if it is new. For when configuration is compiled: takes a lock.
    pub fn gauge(&self, scope: Scope, name: &'static str) -> Gauge {
        self.0.counters.gauge(scope, name)
    }

    /// Adds to a counter from outside of any worker.
    pub fn add(&self, counter: Counter, n: u64) {
        self.0.counters.add(counter, n);
    }

    /// Sets a gauge that no worker touches.
    pub fn set(&self, gauge: Gauge, value: u64) {
        self.0.counters.set(gauge, value);
    }

    /// Has `source` asked for its numbers whenever somebody looks.
    pub fn read_from(&self, source: impl Fn(&mut Vec<Stat>) + Send + Sync + 'static) {
        self.0.sources.lock().push(Box::new(source));
    }

    /// All of Envoy's counters and gauges, by name.
    pub fn stats(&self) -> Vec<Stat> {
        let mut all = self.0.counters.stats();
        all.extend(self.0.sinks.stats());
        for source in self.0.sources.lock().iter() {
            source(&mut all);
        }
        all.sort_by_cached_key(Stat::full_name);
        all
    }

    /// Everything in Prometheus' text form, piece by piece: all label sets at once can be many megabytes.
    pub fn exposition(&self) -> impl Iterator<Item = String> + Send + use<> {
        exposition::pieces(self)
    }

    /// What one listener or filter chain wants: its metrics, if `stats` stands in it, and its logs.
    ///
    /// # Errors
    /// Names what of a log's format is not understood.
    pub fn observers(
        &self,
        stats: Option<mesh_model::filter::Stats>,
        logs: &[mesh_model::access_log::AccessLog],
    ) -> Result<Observers, substitution::InvalidFormat> {
        Observers::new(stats, logs, &self.0.sinks)
    }

    /// Opens the log files anew, as after they were rotated.
    pub fn reopen_logs(&self) {
        self.0.sinks.reopen();
    }

    /// Waits until all lines that workers have handed over are written, at most for `patience`. For the end of the
    /// process; blocks.
    pub fn finish_logs(&self, patience: Duration) {
        self.0.sinks.finish(patience);
    }
}

#[cfg(test)]
mod tests;
