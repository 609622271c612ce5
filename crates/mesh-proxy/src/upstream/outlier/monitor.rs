//! What outlier detection knows of one host, for as long as anything refers to it.
//!
//! Workers write the counters; only the control side writes what is known of ejections.

use super::reset;
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// Of one host.
#[derive(Debug, Default)]
pub struct Monitor {
    pub(super) consecutive_5xx: AtomicU32,
    pub(super) consecutive_gateway_failure: AtomicU32,
    pub(super) consecutive_local_origin_failure: AtomicU32,
    pub(in crate::upstream) external: Bucket,
    pub(in crate::upstream) local: Bucket,
    ejected: AtomicBool,
    // Only the control side looks. Jitter is part of it.
    serves_from: Mutex<Option<Instant>>,
    // By how many base times it is ejected: grows with each ejection, falls with each interval without.
    backoff: AtomicU32,
}

/// Outcomes of one interval, and the rate of the last.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Bucket {
    total: AtomicU32,
    good: AtomicU32,
    // Hundredths of a percent, plus one; 0: none.
    rate: AtomicU32,
}

impl Monitor {
    /// Whether it is ejected.
    pub fn is_ejected(&self) -> bool {
        self.ejected.load(Relaxed)
    }

    /// Success rates of the last interval in percent, of answers and of connections; `None`: too little was asked of it.
    pub fn rates(&self) -> [Option<f64>; 2] {
        [self.external.rate(), self.local.rate()]
    }

    /// How many base times long an ejection is now.
    pub(in crate::upstream) fn backoff(&self) -> u32 {
        self.backoff.load(Relaxed)
    }

    /// Ejects it; the time that it serves begins after `jitter`.
    pub(in crate::upstream) fn eject(&self, jitter: Duration) {
        *self.serves_from.lock() = Instant::now().checked_add(jitter);
        self.ejected.store(true, Relaxed);
    }

    /// From now on an ejection is longer.
    pub(in crate::upstream) fn lengthen(&self) {
        self.backoff.store(self.backoff() + 1, Relaxed);
    }

    /// An interval has passed in service: the next ejection is shorter.
    pub(in crate::upstream) fn shorten(&self) {
        self.backoff
            .store(self.backoff().saturating_sub(1), Relaxed);
    }

    /// Whether it has served `length`.
    pub(in crate::upstream) fn has_served(&self, length: Duration) -> bool {
        let from = *self.serves_from.lock();
        from.is_some_and(|from| Instant::now().saturating_duration_since(from) >= length)
    }

    /// Takes it back. It begins anew: few failures must not eject it at once.
    pub(in crate::upstream) fn take_back(&self) {
        self.ejected.store(false, Relaxed);
        self.forgive();
    }

    /// Forgets the failures in a row.
    pub(in crate::upstream) fn forgive(&self) {
        reset(&self.consecutive_5xx);
        reset(&self.consecutive_gateway_failure);
        reset(&self.consecutive_local_origin_failure);
    }

    /// Forgets the failures in a row for which it was judged.
    pub(in crate::upstream) fn forgive_one(&self, kind: super::Kind) {
        match kind {
            super::Kind::Consecutive5xx => reset(&self.consecutive_5xx),
            super::Kind::ConsecutiveGatewayFailure => reset(&self.consecutive_gateway_failure),
            super::Kind::ConsecutiveLocalOriginFailure => {
                reset(&self.consecutive_local_origin_failure);
            }
            _ => {}
        }
    }
}

impl Bucket {
    pub(super) fn put(&self, is_good: bool) {
        self.total.fetch_add(1, Relaxed);
        if is_good {
            self.good.fetch_add(1, Relaxed);
        }
    }

    /// Ends the interval: outcomes and good ones of it.
    pub(in crate::upstream) fn take(&self) -> (u32, u32) {
        let total = self.total.swap(0, Relaxed);
        // One that came between the two counts in the next interval as good only.
        (total, self.good.swap(0, Relaxed).min(total))
    }

    /// Keeps the rate of the interval for whoever looks.
    pub(in crate::upstream) fn set_rate(&self, percent: Option<f64>) {
        let kept = percent.map_or(0, |percent| (percent * 100.0).round() as u32 + 1);
        self.rate.store(kept, Relaxed);
    }

    fn rate(&self) -> Option<f64> {
        let kept = self.rate.load(Relaxed).checked_sub(1)?;
        Some(f64::from(kept) / 100.0)
    }
}
