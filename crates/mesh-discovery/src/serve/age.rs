//! How old the connection of a proxy gets, so that proxies spread over the replicas of a control plane.
//!
//! First the connection takes no new calls (GOAWAY); a little later, each at a time of its own, its streams end between two
//! pushes, without an error, and with the last of them the connection. What a proxy has stays in force, and it says what it
//! has when it comes back: nothing is sent anew.

use std::time::Duration;
use tokio::time::Instant;

/// How old a connection gets, more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionAge(Duration);

impl ConnectionAge {
    /// About `age`.
    pub fn about(age: Duration) -> Self {
        Self(age)
    }

    /// When it takes no new calls.
    pub(super) fn goaway(self) -> Duration {
        self.0.mul_f64(0.9)
    }

    /// When a stream of a connection that was accepted at `since` ends: after it takes no new calls, so that the next stream
    /// needs a connection of its own, and not when all others do.
    pub(super) fn end_of_stream(self, since: Instant) -> Instant {
        since + self.0.mul_f64(0.92 + 0.18 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[tokio::test(start_paused = true)]
    async fn streams_end_apart_from_each_other_between_the_two_limits() {
        let age = ConnectionAge::about(Duration::from_secs(1800));
        let since = Instant::now();
        let ends: BTreeSet<Duration> = (0..100).map(|_| age.end_of_stream(since) - since).collect();
        let limits = age.goaway()..Duration::from_secs(2000);
        assert!(ends.iter().all(|end| limits.contains(end)), "{ends:?}");
        let spread = *ends.last().expect("some") - *ends.first().expect("some");
        assert!(spread > Duration::from_secs(180), "{spread:?}");
    }
}
