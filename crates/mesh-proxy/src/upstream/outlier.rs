//! Hosts that fail are left out for a while (Envoy's outlier detection).
//!
//! What became of each request or connection is put to its host's [`Monitor`] by whichever worker has it: a few atomics,
//! and on the good path of a cluster without rates nothing is written at all. When a host has failed too often, word is
//! left for the control side, which alone decides on ejections and takes hosts back (`clusters::ejection`), and lays the
//! endpoints out anew. So a host is judged by what all workers saw, and a push resets nothing.

mod monitor; // what is known of one host
mod rates; //   hosts that fail more often than others
mod stats; //   what is counted

pub use monitor::Monitor;
pub(super) use rates::{Rate, Threshold, below};
pub use stats::OutlierStats;

use super::Host;
use mesh_model::{
    ClusterName,
    cluster::{Consecutive, OutlierDetection},
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};
use tokio::sync::mpsc;

/// What became of a request or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The host answered with this status; of gRPC, what the status means in HTTP.
    Answered(u16),
    /// There is a connection, and a request goes on it.
    Connected,
    /// There is a connection, and that is all that is asked of the host.
    Served,
    /// No connection could be made, or it ended before there was an answer.
    Failed,
    /// The host was too slow.
    TimedOut,
}

/// What a host is an outlier for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers of 5xx in a row.
    Consecutive5xx,
    /// Answers of 502 to 504 in a row.
    ConsecutiveGatewayFailure,
    /// Local failures in a row.
    ConsecutiveLocalOriginFailure,
    /// Fewer successes than the others.
    SuccessRate,
    /// Fewer connections than the others.
    LocalOriginSuccessRate,
    /// Too many failures.
    FailurePercentage,
    /// Too many local failures.
    FailurePercentageLocalOrigin,
}

/// Word for the control side.
#[derive(Debug)]
pub(super) enum Report {
    /// A host of that cluster has failed too often.
    Outlier(ClusterName, Arc<Host>, Kind),
    /// There is something new to look after.
    Look,
}

/// Outlier detection of one cluster, as workers have it.
#[derive(Debug)]
pub struct Outliers {
    cluster: ClusterName,
    /// What was configured.
    pub config: OutlierDetection,
    /// What was counted since the cluster is there.
    pub stats: Arc<OutlierStats>,
    rates: bool,
    reports: mpsc::UnboundedSender<Report>,
}

impl Outliers {
    pub(super) fn new(
        cluster: ClusterName,
        config: OutlierDetection,
        stats: Arc<OutlierStats>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self {
            cluster,
            rates: looks_at_rates(&config),
            config,
            stats,
            reports,
        }
    }

    /// Whether rates are looked at.
    pub(super) fn looks_at_rates(&self) -> bool {
        self.rates
    }

    /// Notes what became of something that went to `host`.
    pub fn put(&self, host: &Arc<Host>, outcome: Outcome) {
        match (outcome, self.config.split_local_origin) {
            (Outcome::Answered(status), _) => self.answered(host, status),
            (Outcome::Connected | Outcome::Served, true) => self.local(host, true),
            (Outcome::Failed | Outcome::TimedOut, true) => self.local(host, false),
            (Outcome::Connected, false) => {}
            (Outcome::Served, false) => self.answered(host, 200),
            (Outcome::Failed, false) => self.answered(host, 503),
            (Outcome::TimedOut, false) => self.answered(host, 504),
        }
    }

    fn answered(&self, host: &Arc<Host>, status: u16) {
        let monitor = &host.monitor;
        let failed = status >= 500;
        if self.rates {
            monitor.external.put(!failed);
        }
        if !failed {
            reset(&monitor.consecutive_5xx);
            reset(&monitor.consecutive_gateway_failure);
            return;
        }
        if (502..=504).contains(&status) {
            let row = self.config.consecutive_gateway_failure;
            let kind = Kind::ConsecutiveGatewayFailure;
            self.count(host, &monitor.consecutive_gateway_failure, row, kind);
        } else {
            reset(&monitor.consecutive_gateway_failure);
        }
        let row = self.config.consecutive_5xx;
        self.count(host, &monitor.consecutive_5xx, row, Kind::Consecutive5xx);
    }

    fn local(&self, host: &Arc<Host>, is_good: bool) {
        let monitor = &host.monitor;
        if self.rates {
            monitor.local.put(is_good);
        }
        if is_good {
            return reset(&monitor.consecutive_local_origin_failure);
        }
        let row = self.config.consecutive_local_origin_failure;
        let kind = Kind::ConsecutiveLocalOriginFailure;
        self.count(host, &monitor.consecutive_local_origin_failure, row, kind);
    }

    // Only the one that reaches the limit leaves word, so that a host that goes on failing fills no queue.
    fn count(&self, host: &Arc<Host>, counter: &AtomicU32, row: Consecutive, kind: Kind) {
        let count = counter.fetch_add(1, Relaxed).wrapping_add(1);
        if row.count != 0 && count == row.count {
            let report = Report::Outlier(self.cluster.clone(), Arc::clone(host), kind);
            // Nobody listens only while the process ends.
            let _ = self.reports.send(report);
        }
    }
}

fn looks_at_rates(config: &OutlierDetection) -> bool {
    let (rate, failures) = (&config.success_rate, &config.failure_percentage);
    let enforced = [
        rate.enforcing,
        rate.enforcing_local_origin,
        failures.enforcing,
        failures.enforcing_local_origin,
    ];
    let split = config.split_local_origin;
    let counts = [true, split, true, split];
    enforced
        .iter()
        .zip(counts)
        .any(|(percent, counts)| counts && percent.get() > 0)
}

// Looked at first: what all workers only read moves between no cores.
fn reset(counter: &AtomicU32) {
    if counter.load(Relaxed) != 0 {
        counter.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests;
