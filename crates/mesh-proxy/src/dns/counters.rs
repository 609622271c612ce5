//! What is counted of queries, under the names that Istio's agent has for it.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds of the buckets of durations, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What is counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Queries that came.
    pub requests: Counter,
    /// Queries that were handed on to the pod's name servers.
    pub upstream_requests: Counter,
    /// Those to which none of them gave an answer in time.
    pub upstream_failures: Counter,
    /// Queries that were refused or left unanswered because too many were under way.
    pub dropped: Counter,
    /// How long name servers took.
    pub upstream_duration: Durations,
}

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn increment(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A distribution of durations.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub fn record(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Relaxed);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Relaxed);
    }

    fn write(&self, name: &str, out: &mut String) {
        let _ = writeln!(out, "# TYPE {name} histogram");
        let mut so_far = 0;
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            so_far += bucket.load(Relaxed);
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {so_far}");
        }
        so_far += self.buckets[BOUNDS.len()].load(Relaxed);
        let seconds = Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64();
        let _ = writeln!(
            out,
            "{name}_bucket{{le=\"+Inf\"}} {so_far}\n{name}_sum {seconds}\n{name}_count {so_far}"
        );
    }
}

impl Counters {
    /// All of them in Prometheus' text format.
    pub fn exposition(&self) -> String {
        let mut out = String::new();
        for (name, counter) in [
            ("istio_agent_dns_requests_total", &self.requests),
            (
                "istio_agent_dns_upstream_requests_total",
                &self.upstream_requests,
            ),
            (
                "istio_agent_dns_upstream_failures_total",
                &self.upstream_failures,
            ),
            ("istio_agent_dns_dropped_total", &self.dropped),
        ] {
            let _ = writeln!(out, "# TYPE {name} counter\n{name} {}", counter.get());
        }
        let name = "istio_agent_dns_upstream_request_duration_seconds";
        self.upstream_duration.write(name, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_does_not_pass_their_bound() {
        let counters = Counters::default();
        counters.requests.increment();
        for millis in [1, 3, 5, 7000] {
            counters
                .upstream_duration
                .record(Duration::from_millis(millis));
        }
        let text = counters.exposition();
        let name = "istio_agent_dns_upstream_request_duration_seconds";
        for line in [
            "istio_agent_dns_requests_total 1".to_owned(),
            format!("{name}_bucket{{le=\"0.001\"}} 1"),
            format!("{name}_bucket{{le=\"0.005\"}} 3"),
            format!("{name}_bucket{{le=\"5\"}} 3"),
            format!("{name}_bucket{{le=\"+Inf\"}} 4"),
            format!("{name}_sum 7.009"),
            format!("{name}_count 4"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
