//! What is counted, in Prometheus' text format. Names of reviews are Istio's.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::review::Verdict;

/// Upper bounds of the histogram, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0];

/// The counters of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: AtomicU64,
    success: AtomicU64,
    failure: AtomicU64,
    skip: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len()],
    total_us: AtomicU64,
    /// End of the serving certificate, seconds since 1970; 0 while there is none.
    pub certificate_end: AtomicU64,
    /// Certificates that were put into service.
    pub certificates: AtomicU64,
    /// Handshakes that failed.
    pub handshake_failures: AtomicU64,
    /// Patches of our webhook configuration.
    pub registrations: AtomicU64,
}

impl Metrics {
    /// A review came.
    pub fn requested(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// It could not be answered as a review.
    pub fn failed(&self) {
        self.failure.fetch_add(1, Relaxed);
    }

    /// It was answered, in so long.
    pub fn answered(&self, verdict: &Verdict, took: Duration) {
        let counter = match verdict {
            Verdict::Injected(_) => &self.success,
            Verdict::Skipped(_) => &self.skip,
            Verdict::Refused(_) => &self.failure,
        };
        counter.fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.total_us.fetch_add(micros, Relaxed);
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            if took.as_secs_f64() <= *bound {
                bucket.fetch_add(1, Relaxed);
            }
        }
    }

    /// The page that Prometheus reads.
    pub fn text(&self) -> String {
        let counters = [
            (
                "sidecar_injection_requests_total",
                "Reviews that came.",
                &self.requests,
            ),
            (
                "sidecar_injection_success_total",
                "Pods that got a proxy.",
                &self.success,
            ),
            (
                "sidecar_injection_failure_total",
                "Reviews that were refused.",
                &self.failure,
            ),
            (
                "sidecar_injection_skip_total",
                "Pods that were left alone.",
                &self.skip,
            ),
            (
                "mesh_injector_certificates_total",
                "Serving certificates put into service.",
                &self.certificates,
            ),
            (
                "mesh_injector_handshake_failures_total",
                "TLS handshakes that failed.",
                &self.handshake_failures,
            ),
            (
                "mesh_injector_registrations_total",
                "Patches of our webhook configuration.",
                &self.registrations,
            ),
        ];
        let mut text = String::new();
        for (name, help, counter) in counters {
            let value = counter.load(Relaxed);
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}"
            );
        }
        let end = self.certificate_end.load(Relaxed);
        let name = "mesh_injector_certificate_expiry_timestamp_seconds";
        let _ = writeln!(
            text,
            "# HELP {name} End of the serving certificate.\n# TYPE {name} gauge\n{name} {end}"
        );
        self.histogram(&mut text);
        text
    }

    fn histogram(&self, text: &mut String) {
        let name = "sidecar_injection_time_seconds";
        let _ = writeln!(
            text,
            "# HELP {name} Time to answer a review.\n# TYPE {name} histogram"
        );
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            let _ = writeln!(
                text,
                "{name}_bucket{{le=\"{bound}\"}} {}",
                bucket.load(Relaxed)
            );
        }
        let all = [&self.success, &self.skip, &self.failure];
        let count: u64 = all.iter().map(|counter| counter.load(Relaxed)).sum();
        let sum = Duration::from_micros(self.total_us.load(Relaxed)).as_secs_f64();
        let _ = writeln!(
            text,
            "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}"
        );
    }
}
