//! State of one endpoint for as long as anything refers to it: counters, and whether it lately refused us.
//!
//! Shared by all workers, because its meaning is per process. It is keyed by cluster and address and handed from one
//! snapshot of a cluster to the next, so that a push of the same endpoints resets nothing.

use super::outlier::Monitor;
use std::{
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long a host that refused a connection is passed over while there are others.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// One endpoint's state.
#[derive(Debug)]
pub struct Host {
    /// Where it listens.
    pub address: SocketAddr,
    /// Number of the host, unique in the process; pools are keyed by it.
    pub id: u64,
    /// What happened.
    pub stats: HostStats,
    /// What outlier detection knows of it.
    pub monitor: Monitor,
    // Milliseconds since `epoch()`; 0: nothing to avoid.
    avoid_until: AtomicU64,
    removed: AtomicBool,
}

macro_rules! stats {
    ($($(#[$doc:meta])* $field:ident: $kind:ident,)*) => {
        /// Counters and gauges of a host, by Envoy's names.
        #[derive(Debug, Default)]
        pub struct HostStats { $($(#[$doc])* pub $field: stats!(@type $kind),)* }

        impl HostStats {
            /// Names and values, by name; `true` marks a gauge.
            pub fn values(&self) -> Vec<(&'static str, u64, bool)> {
                vec![$((stringify!($field), self.$field.load(Relaxed).into(), stats!(@gauge $kind)),)*]
            }
        }
    };
    (@type counter) => { AtomicU64 };
    (@type gauge) => { AtomicU32 };
    (@gauge counter) => { false };
    (@gauge gauge) => { true };
}

stats! {
    /// Connections that are open.
    cx_active: gauge,
    /// Connections that could not be made.
    cx_connect_fail: counter,
    /// Connections that were made or tried.
    cx_total: counter,
    /// Requests in flight.
    rq_active: gauge,
    /// Requests that failed, or were answered with 5xx.
    rq_error: counter,
    /// Requests that were answered otherwise.
    rq_success: counter,
    /// Requests that were not answered in time.
    rq_timeout: counter,
    /// All requests.
    rq_total: counter,
}

impl Host {
    /// A host about which nothing is known yet.
    pub fn new(address: SocketAddr) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            address,
            id: NEXT.fetch_add(1, Relaxed),
            stats: HostStats::default(),
            monitor: Monitor::default(),
            avoid_until: AtomicU64::new(0),
            removed: AtomicBool::new(false),
        })
    }

    /// Requests in flight.
    pub fn active(&self) -> u32 {
        self.stats.rq_active.load(Relaxed)
    }

    /// Whether it is no longer an endpoint of its cluster: its idle connections close, what is in flight finishes.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Relaxed)
    }

    /// Says that it is, or is again, or is no longer an endpoint of its cluster.
    pub fn set_removed(&self, removed: bool) {
        self.removed.store(removed, Relaxed);
    }

    /// Whether it refused a connection a moment ago.
    pub fn is_refusing(&self) -> bool {
        let until = self.avoid_until.load(Relaxed);
        until != 0 && now() < until
    }

    /// Counts a connection that could not be made; the host is passed over for a moment.
    pub fn connect_failed(&self) {
        self.stats.cx_connect_fail.fetch_add(1, Relaxed);
        let until = now() + REFUSED_FOR.as_millis() as u64;
        self.avoid_until.store(until, Relaxed);
    }

    /// Counts a request that was not answered in time.
    pub fn timed_out(&self) {
        self.stats.rq_timeout.fetch_add(1, Relaxed);
    }

    /// Notes that a connection was made.
    pub fn connect_succeeded(&self) {
        if self.avoid_until.load(Relaxed) != 0 {
            self.avoid_until.store(0, Relaxed);
        }
    }
}

// Milliseconds since the first use, never 0.
fn now() -> u64 {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    EPOCH.elapsed().as_millis() as u64 + 1
}

/// An open connection to a host, for the gauge.
#[derive(Debug)]
pub struct OpenConnection(Arc<Host>);

impl OpenConnection {
    /// Counts a connection that is being made.
    pub fn new(host: &Arc<Host>) -> Self {
        host.stats.cx_total.fetch_add(1, Relaxed);
        host.stats.cx_active.fetch_add(1, Relaxed);
        Self(Arc::clone(host))
    }

    /// The host.
    pub fn host(&self) -> &Arc<Host> {
        &self.0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.stats.cx_active.fetch_sub(1, Relaxed);
    }
}

/// A request in flight to a host, for least request and the gauges.
#[derive(Debug)]
pub struct ActiveRequest(Arc<Host>);

impl ActiveRequest {
    /// Counts a request that is being sent.
    pub fn new(host: &Arc<Host>) -> Self {
        host.stats.rq_total.fetch_add(1, Relaxed);
        host.stats.rq_active.fetch_add(1, Relaxed);
        Self(Arc::clone(host))
    }

    /// The host.
    pub fn host(&self) -> &Arc<Host> {
        &self.0
    }

    /// Counts how it was answered.
    pub fn answered(&self, server_error: bool) {
        let stats = &self.0.stats;
        let counter = if server_error {
            &stats.rq_error
        } else {
            &stats.rq_success
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.stats.rq_active.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_that_refused_is_passed_over_for_a_moment() {
        let host = Host::new(([127, 0, 0, 1], 1).into());
        assert!(!host.is_refusing());
        host.connect_failed();
        assert!(host.is_refusing());
        tokio::time::sleep(REFUSED_FOR).await;
        assert!(!host.is_refusing(), "the moment is over");
        host.connect_failed();
        host.connect_succeeded();
        assert!(!host.is_refusing(), "a connection was made");
    }

    #[test]
    fn gauges_return_to_zero() {
        let host = Host::new(([127, 0, 0, 1], 1).into());
        let request = ActiveRequest::new(&host);
        request.answered(true);
        assert_eq!(host.active(), 1);
        drop((request, OpenConnection::new(&host)));
        let values = host.stats.values();
        let get = |name| values.iter().find(|v| v.0 == name).map(|v| v.1);
        assert_eq!((get("rq_active"), get("cx_active")), (Some(0), Some(0)));
        assert_eq!((get("rq_error"), get("cx_total")), (Some(1), Some(1)));
    }
}
