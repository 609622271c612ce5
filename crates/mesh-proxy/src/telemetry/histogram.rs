//! Distributions in Envoy's default buckets.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds, inclusive; what is above all of them counts under `+Inf`.
pub(super) const BOUNDS: [&str; 19] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000",
    "30000", "60000", "300000", "600000", "1800000", "3600000",
];

// The same in numbers. Values are whole, so that 0.5 takes zeros only.
const LIMITS: [u64; 19] = [
    0, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300_000, 600_000,
    1_800_000, 3_600_000,
];

/// Number of buckets, `+Inf` included.
pub(super) const BUCKETS: usize = BOUNDS.len() + 1;

/// A distribution that one worker writes and others read.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Histogram {
    /// Counts one value.
    pub(super) fn record(&self, value: u64) {
        let bucket = LIMITS.partition_point(|limit| *limit < value);
        super::series::grow(&self.buckets[bucket], 1);
        super::series::grow(&self.sum, value);
    }
}

/// The sum of the same distribution over all workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Distribution {
    /// Values in each bucket alone, not in those below.
    pub(super) buckets: [u64; BUCKETS],
    /// Sum of all values.
    pub(super) sum: u64,
}

impl Distribution {
    /// Adds what a worker counted.
    pub(super) fn absorb(&mut self, part: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&part.buckets) {
            *sum += bucket.load(Relaxed);
        }
        self.sum += part.sum.load(Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_the_bucket_whose_bound_they_do_not_pass() {
        for (value, bound) in [
            (0, Some("0.5")),
            (1, Some("1")),
            (2, Some("5")),
            (100, Some("100")),
            (101, Some("250")),
            (3_600_001, None),
        ] {
            let histogram = Histogram::default();
            histogram.record(value);
            let mut sum = Distribution::default();
            sum.absorb(&histogram);
            let bucket = sum.buckets.iter().position(|n| *n == 1).expect("counted");
            assert_eq!(BOUNDS.get(bucket).copied(), bound, "{value}");
            assert_eq!(sum.sum, value);
        }
    }
}
