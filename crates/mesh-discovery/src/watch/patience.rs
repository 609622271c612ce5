//! How long a watch waits after a failure.
//!
//! Twice as long each time, up to a limit that keeps a server which is down at less than a request a second from all
//! watches together, and lets changes through soon after it is back.

use kube::runtime::utils::Backoff;
use std::time::Duration;
use tokio::time::Instant;

/// First pause.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// How long a watch waits after a failure.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    last: Option<(Instant, Duration)>,
}

impl Iterator for Patience {
    type Item = Duration;

    /// A little shorter or longer at random, so that replicas do not ask all at once.
    fn next(&mut self) -> Option<Duration> {
        let pause = match self.last {
            Some((at, pause)) if at.elapsed() < 3 * LONGEST => (2 * pause).min(LONGEST),
            _ => FIRST,
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
        let mut patience = Patience::default();
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
}
