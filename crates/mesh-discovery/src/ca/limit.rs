//! How often one caller may ask for a certificate.
//!
//! A token bucket a caller, and one for all together, so that a pod in a crash loop (or an attacker with one stolen
//! token) costs the others nothing.

use parking_lot::Mutex;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// Requests that one caller may send at once.
const CALLER_BURST: f64 = 20.0;
/// Requests a second that one caller may send for ever.
const CALLER_RATE: f64 = 1.0;
/// As [`CALLER_BURST`], all callers together.
const TOTAL_BURST: f64 = 2000.0;
/// As [`CALLER_RATE`], all callers together.
const TOTAL_RATE: f64 = 500.0;
/// Callers remembered before those with a full bucket are forgotten.
const REMEMBERED: usize = 10_000;

/// The buckets.
pub struct CallerLimit {
    state: Mutex<State>,
}

struct State {
    total: Bucket,
    callers: HashMap<String, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Default for CallerLimit {
    fn default() -> Self {
        let state = State {
            total: Bucket::full(TOTAL_BURST),
            callers: HashMap::new(),
        };
        Self {
            state: Mutex::new(state),
        }
    }
}

impl CallerLimit {
    /// Whether there is one token for `caller`, without taking it.
    ///
    /// # Errors
    /// If there is none: the time until there will be.
    pub fn check(&self, caller: &str) -> Result<(), Duration> {
        let mut state = self.state.lock();
        match state.callers.get_mut(caller) {
            Some(bucket) => bucket.wait(CALLER_BURST, CALLER_RATE),
            None => Ok(()),
        }
    }

    /// Takes one token for `caller`.
    ///
    /// # Errors
    /// If there is none: the time until there will be.
    pub fn take(&self, caller: &str) -> Result<(), Duration> {
        let mut state = self.state.lock();
        let State { total, callers } = &mut *state;
        if callers.len() >= REMEMBERED {
            callers.retain(|_, bucket| bucket.refill(CALLER_BURST, CALLER_RATE) < CALLER_BURST);
        }
        let bucket = callers
            .entry(caller.to_owned())
            .or_insert_with(|| Bucket::full(CALLER_BURST));
        bucket.wait(CALLER_BURST, CALLER_RATE)?;
        total.wait(TOTAL_BURST, TOTAL_RATE)?;
        bucket.tokens -= 1.0;
        total.tokens -= 1.0;
        Ok(())
    }
}

impl Bucket {
    fn full(tokens: f64) -> Self {
        Self {
            tokens,
            at: Instant::now(),
        }
    }

    fn refill(&mut self, burst: f64, rate: f64) -> f64 {
        let now = Instant::now();
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * rate).min(burst);
        self.at = now;
        self.tokens
    }

    /// Fails with the time until there is a token.
    fn wait(&mut self, burst: f64, rate: f64) -> Result<(), Duration> {
        match self.refill(burst, rate) {
            tokens if tokens >= 1.0 => Ok(()),
            tokens => Err(Duration::from_secs_f64((1.0 - tokens) / rate)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_cut_and_recovers_and_others_pass() {
        let limit = CallerLimit::default();
        let taken = (0..1000).filter(|_| limit.take("greedy").is_ok()).count();
        assert_eq!(taken, 20);
        assert!(limit.take("modest").is_ok());
        let wait = limit.take("greedy").expect_err("empty");
        tokio::time::advance(wait).await;
        assert!(limit.take("greedy").is_ok());
        assert!(limit.take("greedy").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_are_bounded_together_and_forgotten() {
        let limit = CallerLimit::default();
        let taken = (0..30_000)
            .filter(|i| limit.take(&i.to_string()).is_ok())
            .count();
        assert_eq!(taken, 2000);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(limit.take("one more").is_ok());
        assert!(limit.state.lock().callers.len() <= REMEMBERED);
    }
}
