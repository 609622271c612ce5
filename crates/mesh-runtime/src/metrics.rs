//! What a process counts beside its path: numbers that grow, numbers that are set, and how values are spread.
//!
//! Written from anywhere by atomics; read as Prometheus' text by whoever serves the page ([`Text`]). Which numbers there
//! are, and their names, is each program's own business. Too slow for the path of a packet: all threads share one number.

mod text; // the page that Prometheus reads

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
pub use text::Text;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that is set.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How values are spread.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than bounds; not cumulative.
    buckets: Box<[AtomicU64]>,
    /// In millionths, so that it can be atomic.
    sum_micros: AtomicU64,
}

impl Histogram {
    /// An empty one, whose buckets end at `bounds`: seconds or bytes, ascending. What passes the last has a bucket, too.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_micros: AtomicU64::new(0),
        }
    }

    /// Records a duration.
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.observe(duration.as_secs_f64(), micros);
    }

    /// Records a size.
    pub fn record_bytes(&self, bytes: usize) {
        self.observe(bytes as f64, (bytes as u64).saturating_mul(1_000_000));
    }

    fn observe(&self, value: f64, micros: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_micros.fetch_add(micros, Relaxed);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_does_not_pass_its_bound() {
        let spread = Histogram::new(&[0.001, 0.005]);
        for micros in [1000, 1001, 5000, 5001, 7_000_000] {
            spread.record(Duration::from_micros(micros));
        }
        let mut text = Text::default();
        text.histogram("x_seconds", "Help.", &spread);
        let expected = "# HELP x_seconds Help.\n# TYPE x_seconds histogram\n\
            x_seconds_bucket{le=\"0.001\"} 1\n\
            x_seconds_bucket{le=\"0.005\"} 3\n\
            x_seconds_bucket{le=\"+Inf\"} 5\n\
            x_seconds_sum 7.012002\n\
            x_seconds_count 5\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn sizes_are_summed_in_bytes() {
        let spread = Histogram::new(&[1.0, 1e6]);
        spread.record_bytes(1_500_000);
        spread.record_bytes(1);
        let mut text = Text::default();
        text.histogram("x_bytes", "", &spread);
        let text = text.finish();
        assert!(text.starts_with("# TYPE x_bytes histogram\n"), "{text}");
        assert!(text.contains("{le=\"1000000\"} 1\n"), "{text}");
        assert!(text.contains("x_bytes_sum 1500001\n"), "{text}");
    }

    #[test]
    fn a_series_names_what_has_counted_and_no_value_breaks_a_line() {
        let (some, none) = (Counter::default(), Counter::default());
        some.increment();
        let mut text = Text::default();
        let all = [("a\"\\\n", &some), ("b", &none)];
        text.counters("x_total", "", "of", all.into_iter());
        let expected = "# TYPE x_total counter\nx_total{of=\"a\\\"\\\\\\n\"} 1\n";
        assert_eq!(text.finish(), expected);
    }
}
