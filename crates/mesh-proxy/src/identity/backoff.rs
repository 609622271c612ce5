//! When to try again what failed: later each time, and never in step with others.

use std::time::Duration;

/// Pauses between attempts.
#[derive(Debug)]
pub struct Backoff {
    base: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// For what a control plane that comes back wants to see spread: the first pause is at most `base`, none is longer
    /// than `most`.
    pub fn new(base: Duration, most: Duration) -> Self {
        Self {
            base,
            most,
            next: base,
        }
    }

    /// For a server that can't be reached: it costs it nothing, and when it is back we are there within seconds.
    pub fn unreachable() -> Self {
        Self::new(Duration::from_secs(2), Duration::from_secs(4))
    }

    /// For a server that answers with a refusal, which costs it work each time.
    pub fn refused() -> Self {
        Self::new(Duration::from_secs(2), Duration::from_secs(30))
    }

    /// The pause before the next attempt: random, so that many proxies do not come at once.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.1 + 0.9 * fastrand::f64());
        self.next = (self.next * 2).min(self.most);
        pause
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
        for most in [1, 2, 4, 4, 4] {
            let pause = backoff.pause();
            assert!(pause <= Duration::from_secs(most), "{pause:?}");
            assert!(pause >= Duration::from_millis(most * 100), "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_secs(1));
    }

    #[test]
    fn pauses_differ() {
        let mut pauses: Vec<_> = (0..100)
            .map(|_| Backoff::unreachable().pause().as_millis())
            .collect();
        pauses.sort_unstable();
        pauses.dedup();
        assert!(pauses.len() > 20, "{pauses:?}");
    }
}
