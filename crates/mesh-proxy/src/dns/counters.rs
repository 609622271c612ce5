//! What is counted of queries, under the names that Istio's agent has for it.

use mesh_runtime::metrics::{Counter, Histogram, Text};

/// Upper bounds of the buckets of durations, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What is counted.
#[derive(Debug)]
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
    pub upstream_duration: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            requests: Counter::default(),
            upstream_requests: Counter::default(),
            upstream_failures: Counter::default(),
            dropped: Counter::default(),
            upstream_duration: Histogram::new(&BOUNDS),
        }
    }
}

impl Counters {
    /// All of them in Prometheus' text format.
    pub fn exposition(&self) -> String {
        let mut text = Text::default();
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
            text.counter(name, "", &[], counter.get());
        }
        let name = "istio_agent_dns_upstream_request_duration_seconds";
        text.histogram(name, "", &self.upstream_duration);
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
