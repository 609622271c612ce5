//! What is counted, in Prometheus' text format. Names of reviews are Istio's.

use std::time::Duration;

use mesh_runtime::metrics::{Counter, Gauge, Histogram, Text};

use super::review::Verdict;

/// Upper bounds of the histogram, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0];

/// The counters of the process.
#[derive(Debug)]
pub struct Metrics {
    requests: Counter,
    success: Counter,
    failure: Counter,
    skip: Counter,
    time: Histogram,
    /// End of the serving certificate, seconds since 1970; 0 while there is none.
    pub certificate_end: Gauge,
    /// Certificates that were put into service.
    pub certificates: Counter,
    /// Handshakes that failed.
    pub handshake_failures: Counter,
    /// Patches of our webhook configuration.
    pub registrations: Counter,
    /// Settings that could not be read.
    pub settings_refused: Counter,
    /// 1 while the settings that are there cannot be read, and older ones are in force.
    pub settings_stale: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Counter::default(),
            success: Counter::default(),
            failure: Counter::default(),
            skip: Counter::default(),
            time: Histogram::new(&BOUNDS),
            certificate_end: Gauge::default(),
            certificates: Counter::default(),
            handshake_failures: Counter::default(),
            registrations: Counter::default(),
            settings_refused: Counter::default(),
            settings_stale: Gauge::default(),
        }
    }
}

impl Metrics {
    /// A review came.
    pub fn requested(&self) {
        self.requests.increment();
    }

    /// It could not be answered as a review.
    pub fn failed(&self) {
        self.failure.increment();
    }

    /// It was answered, in so long.
    pub fn answered(&self, verdict: &Verdict, took: Duration) {
        let counter = match verdict {
            Verdict::Injected(_) => &self.success,
            Verdict::Skipped(_) => &self.skip,
            Verdict::Refused(_) => &self.failure,
        };
        counter.increment();
        self.time.record(took);
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
            (
                "mesh_injector_settings_refused_total",
                "Changes of the settings that could not be read.",
                &self.settings_refused,
            ),
        ];
        let mut text = Text::default();
        for (name, help, counter) in counters {
            text.counter(name, help, &[], counter.get());
        }
        text.gauge(
            "mesh_injector_certificate_expiry_timestamp_seconds",
            "End of the serving certificate.",
            &[],
            self.certificate_end.get(),
        );
        text.gauge(
            "mesh_injector_settings_stale",
            "1 while older settings are in force, because the newest cannot be read.",
            &[],
            self.settings_stale.get(),
        );
        text.histogram(
            "sidecar_injection_time_seconds",
            "Time to answer a review.",
            &self.time,
        );
        text.finish()
    }
}
