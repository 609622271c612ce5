//! What the container `istio-proxy` gets where the pod does not say.

use mesh_api::k8s::api::core::v1::Lifecycle;

/// Settings of the proxy's container, beside its image and resources.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyContainer {
    /// `--proxyLogLevel`.
    pub log_level: String,
    /// `--proxyComponentLogLevel`.
    pub component_log_level: String,
    /// `--log_output_level`, of both containers.
    pub agent_log_level: String,
    /// Its readiness probe.
    pub readiness: Readiness,
    /// Failures of its startup probe, at one a second, until it is started anew; `None` for no startup probe.
    pub startup_failures: Option<i32>,
    /// Its hooks, instead of ours.
    pub lifecycle: Option<Lifecycle>,
    /// Whether both containers are privileged.
    pub privileged: bool,
}

/// Timing of the proxy's readiness probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Seconds before the first.
    pub initial_delay_seconds: i32,
    /// Seconds between two.
    pub period_seconds: i32,
    /// Failures until it counts as not ready.
    pub failure_threshold: i32,
}

impl Default for ProxyContainer {
    fn default() -> Self {
        Self {
            log_level: "warning".into(),
            component_log_level: "misc:error".into(),
            agent_log_level: "default:info".into(),
            readiness: Readiness {
                initial_delay_seconds: 0,
                period_seconds: 15,
                failure_threshold: 4,
            },
            startup_failures: Some(600),
            lifecycle: None,
            privileged: false,
        }
    }
}
