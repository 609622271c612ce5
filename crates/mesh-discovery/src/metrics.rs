//! What the control plane counts, under Istio's names, and its Prometheus text.
//!
//! Written from anywhere by atomics; read by `/metrics`. Labels come from closed sets only, so that no client can grow
//! the output.

mod problems;
pub mod world;

use crate::watch::Problem;
use mesh_runtime::metrics::{Counter, Gauge, Histogram, Text};
use mesh_xds::ads::ResourceType;

/// Upper bounds of the buckets of durations, in seconds (Istio's for pushes).
const SECONDS: [f64; 9] = [0.01, 0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0];
/// Upper bounds of the buckets of sizes, in bytes (Istio's for pushes).
const BYTES: [f64; 9] = [1.0, 1e4, 1e6, 4e6, 1e7, 4e7, 1e8, 4e8, 1e9];

/// One of something for each type of resource.
#[derive(Debug)]
pub struct PerType<T>([T; ResourceType::ALL.len()]);

impl<T> PerType<T> {
    /// That of a type.
    pub fn of(&self, kind: ResourceType) -> &T {
        &self.0[kind as usize]
    }

    /// All of them, each with Istio's value of the label `type`.
    fn iter(&self) -> impl Iterator<Item = (String, &T)> {
        let labels = ResourceType::ALL.map(|kind| kind.short().to_ascii_lowercase());
        labels.into_iter().zip(&self.0)
    }
}

impl<T: Default> Default for PerType<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

/// Why something was pushed (`pilot_push_triggers{type}`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Services, pods or settings changed.
    Config,
    /// Endpoints changed, nothing else.
    Endpoint,
}

/// Everything that is counted.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "each field is the metric of its name, whose help text is in `write`"
)]
pub struct Metrics {
    pub debounce_time: Histogram,
    pub pushcontext_init: Histogram,
    pub proxy_queue_time: Histogram,
    pub proxy_convergence_time: Histogram,
    pub xds_push_time: PerType<PushTime>,
    pub xds_send_time: Histogram,
    pub xds_config_size_bytes: PerType<ConfigSize>,
    pub xds_pushes: PerType<Counter>,
    pub xds_rejects: PerType<Counter>,
    pub xds_expired_nonce: PerType<Counter>,
    pub xds_send_timeouts: Counter,
    pub push_triggers: [Counter; 2],
    pub xds_connections: Gauge,
    pub services: Gauge,
    pub csr_count: Counter,
    pub csr_success: Counter,
    pub csr_refused: Counter,
    pub csr_by_certificate: Counter,
    pub authentication_failures: Counter,
    pub root_expiry_seconds: Gauge,
}

/// A histogram of durations, for [`PerType`].
#[derive(Debug)]
pub struct PushTime(pub Histogram);

impl Default for PushTime {
    fn default() -> Self {
        Self(Histogram::new(&SECONDS))
    }
}

/// A histogram of sizes, for [`PerType`].
#[derive(Debug)]
pub struct ConfigSize(pub Histogram);

impl Default for ConfigSize {
    fn default() -> Self {
        Self(Histogram::new(&BYTES))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            debounce_time: Histogram::new(&SECONDS),
            pushcontext_init: Histogram::new(&SECONDS),
            proxy_queue_time: Histogram::new(&SECONDS),
            proxy_convergence_time: Histogram::new(&SECONDS),
            xds_push_time: PerType::default(),
            xds_send_time: Histogram::new(&SECONDS),
            xds_config_size_bytes: PerType::default(),
            xds_pushes: PerType::default(),
            xds_rejects: PerType::default(),
            xds_expired_nonce: PerType::default(),
            xds_send_timeouts: Counter::default(),
            push_triggers: Default::default(),
            xds_connections: Gauge::default(),
            services: Gauge::default(),
            csr_count: Counter::default(),
            csr_success: Counter::default(),
            csr_refused: Counter::default(),
            csr_by_certificate: Counter::default(),
            authentication_failures: Counter::default(),
            root_expiry_seconds: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Counts a push.
    pub fn triggered(&self, trigger: Trigger) {
        self.push_triggers[trigger as usize].increment();
    }

    /// All of it, and what of the source is not understood, in Prometheus' text format.
    pub fn write(&self, version: &str, problems: &[Problem]) -> String {
        let mut text = Text::default();
        text.gauge(
            "pilot_info",
            "Pilot version and build information.",
            &[("version", version)],
            1,
        );
        text.histogram("pilot_debounce_time", "Delay in seconds between the first config enters debouncing and the merged push request is pushed.", &self.debounce_time);
        text.histogram(
            "pilot_pushcontext_init_seconds",
            "Total time in seconds to initialize the push context.",
            &self.pushcontext_init,
        );
        text.histogram(
            "pilot_proxy_queue_time",
            "Time in seconds a proxy waits in the push queue.",
            &self.proxy_queue_time,
        );
        text.histogram(
            "pilot_proxy_convergence_time",
            "Delay in seconds between a config change and a proxy receiving all of it.",
            &self.proxy_convergence_time,
        );
        text.histograms(
            "pilot_xds_push_time",
            "Time in seconds to build and send a type.",
            "type",
            self.xds_push_time.iter().map(|(k, h)| (k, &h.0)),
        );
        text.histogram(
            "pilot_xds_send_time",
            "Time in seconds to send generated configuration.",
            &self.xds_send_time,
        );
        text.histograms(
            "pilot_xds_config_size_bytes",
            "Size of configuration pushed to clients.",
            "type",
            self.xds_config_size_bytes.iter().map(|(k, h)| (k, &h.0)),
        );
        text.counters(
            "pilot_xds_pushes",
            "Responses sent to proxies.",
            "type",
            self.xds_pushes.iter(),
        );
        text.counters(
            "pilot_total_xds_rejects",
            "Responses that proxies refused.",
            "type",
            self.xds_rejects.iter(),
        );
        text.counters(
            "pilot_xds_expired_nonce",
            "Requests that speak of an earlier response.",
            "type",
            self.xds_expired_nonce.iter(),
        );
        text.counter(
            "pilot_xds_write_timeout",
            "Proxies disconnected because they took no response in time.",
            &[],
            self.xds_send_timeouts.get(),
        );
        text.header(
            "pilot_push_triggers",
            "Pushes by what triggered them.",
            "counter",
        );
        for (trigger, name) in [(Trigger::Config, "config"), (Trigger::Endpoint, "endpoint")] {
            text.sample(
                "pilot_push_triggers",
                &[("type", name)],
                self.push_triggers[trigger as usize].get(),
            );
        }
        text.gauge(
            "pilot_xds",
            "Proxies connected over xDS.",
            &[("version", version)],
            self.xds_connections.get(),
        );
        text.gauge(
            "pilot_services",
            "Services known to pilot.",
            &[],
            self.services.get(),
        );
        text.gauge(
            "pilot_config_errors",
            "Files and objects of the source that were refused.",
            &[],
            problems.len() as u64,
        );
        problems::write(&mut text, problems);
        text.counter(
            "citadel_server_csr_count",
            "Signing requests received.",
            &[],
            self.csr_count.get(),
        );
        text.counter(
            "citadel_server_success_cert_issuance_count",
            "Certificates issued.",
            &[],
            self.csr_success.get(),
        );
        text.counter(
            "citadel_server_csr_sign_err_count",
            "Signing requests refused.",
            &[],
            self.csr_refused.get(),
        );
        text.counter(
            "citadel_server_csr_by_certificate_count",
            "Certificates issued to who has shown an earlier one, because no token could be checked.",
            &[],
            self.csr_by_certificate.get(),
        );
        text.counter(
            "citadel_server_authentication_failure_count",
            "Callers that could not be authenticated.",
            &[],
            self.authentication_failures.get(),
        );
        text.gauge(
            "citadel_server_root_cert_expiry_timestamp",
            "Unix time in seconds at which the authority's certificate expires.",
            &[],
            self.root_expiry_seconds.get(),
        );
        text.finish()
    }
}

#[cfg(test)]
mod tests;
