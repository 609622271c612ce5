//! How long a watch waits after a failure.
//!
//! Twice as long each time, up to a limit that grows with the number of watches, so that a server which is down is asked
//! less than once a second by all of them together, and changes come through soon after it is back.

use kube::runtime::utils::Backoff;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// First pause of a few watches.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause of a few watches.
const LONGEST: Duration = Duration::from_secs(10);
/// What the longest pause has to be for each watch, so that there is one request in two seconds.
const EACH: Duration = Duration::from_secs(2);
/// How many watches are a few.
const FEW: u32 = 10;

/// The watches of one API server.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<AtomicU32>);

/// How long one of them waits after a failure.
#[derive(Debug)]
pub(crate) struct Patience {
    watchers: Watchers,
    last: Option<(Instant, Duration)>,
}

impl Watchers {
    /// One more watch, and its patience.
    pub(crate) fn join(&self) -> Patience {
        self.0.fetch_add(1, Relaxed);
        Patience {
            watchers: self.clone(),
            last: None,
        }
    }

    fn first(&self) -> Duration {
        FIRST * self.0.load(Relaxed).max(FEW) / FEW
    }

    fn longest(&self) -> Duration {
        LONGEST.max(EACH * self.0.load(Relaxed))
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.watchers.0.fetch_sub(1, Relaxed);
    }
}

impl Iterator for Patience {
    type Item = Duration;

    /// A little shorter or longer at random, so that replicas do not ask all at once.
    fn next(&mut self) -> Option<Duration> {
        let longest = self.watchers.longest();
        let pause = match self.last {
            Some((at, pause)) if at.elapsed() < 3 * longest => (2 * pause).min(longest),
            _ => self.watchers.first(),
        };
        self.last = Some((Instant::now(), pause));
        Some(pause.mul_f64(0.75 + fastrand::f64() / 2.0))
    }
}

impl Backoff for Patience {
    /// A list that begins counts as a success to kube, even if it then fails: only time counts here.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_a_limit_and_begin_anew_after_a_good_time() {
        let mut patience = Watchers::default().join();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = patience.next().expect("never gives up");
            patience.reset();
            tokio::time::advance(pause).await;
            pauses.push(pause);
        }
        assert!(
            pauses[0] <= FIRST * 5 / 4 && pauses[7] >= LONGEST * 3 / 4,
            "{pauses:?}"
        );
        assert!(pauses.iter().all(|p| *p <= LONGEST * 5 / 4));
        tokio::time::advance(3 * LONGEST).await;
        assert!(patience.next().expect("never gives up") <= FIRST * 5 / 4);
    }

    #[tokio::test(start_paused = true)]
    async fn many_watches_wait_longer_and_those_that_end_count_no_more() {
        let watchers = Watchers::default();
        let mut all: Vec<_> = (0..30).map(|_| watchers.join()).collect();
        assert_eq!(
            (watchers.first(), watchers.longest()),
            (3 * FIRST, 30 * EACH)
        );
        all.truncate(5);
        assert_eq!((watchers.first(), watchers.longest()), (FIRST, LONGEST));
    }
}
