//! Labels and annotations that users write on pods, beyond those that every crate shares.

pub use mesh_model::annotation::*;

/// Names of the templates that a pod is injected with, separated by commas.
pub const TEMPLATES: &str = "inject.istio.io/templates";

/// Destinations to capture: `*` or CIDR ranges.
pub const INCLUDE_OUTBOUND_IP_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
/// Destinations not to capture: CIDR ranges.
pub const EXCLUDE_OUTBOUND_IP_RANGES: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
/// Ports whose inbound traffic is captured: `*`, a list, or empty for none.
pub const INCLUDE_INBOUND_PORTS: &str = "traffic.sidecar.istio.io/includeInboundPorts";
/// Ports whose inbound traffic is not captured.
pub const EXCLUDE_INBOUND_PORTS: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
/// Destination ports that are captured whatever the address.
pub const INCLUDE_OUTBOUND_PORTS: &str = "traffic.sidecar.istio.io/includeOutboundPorts";
/// Destination ports that are never captured.
pub const EXCLUDE_OUTBOUND_PORTS: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
/// Network interfaces that bypass the proxy both ways.
pub const EXCLUDE_INTERFACES: &str = "traffic.sidecar.istio.io/excludeInterfaces";
/// Network interfaces whose arriving traffic counts as outbound.
pub const KUBEVIRT_INTERFACES: &str = "traffic.sidecar.istio.io/kubevirtInterfaces";
/// Newer name of [`KUBEVIRT_INTERFACES`], and stronger.
pub const REROUTE_VIRTUAL_INTERFACES: &str = "istio.io/reroute-virtual-interfaces";
/// How traffic is captured.
pub const INTERCEPTION_MODE: &str = "sidecar.istio.io/interceptionMode";

/// CPU request of the proxy.
pub const PROXY_CPU: &str = "sidecar.istio.io/proxyCPU";
/// CPU limit of the proxy.
pub const PROXY_CPU_LIMIT: &str = "sidecar.istio.io/proxyCPULimit";
/// Memory request of the proxy.
pub const PROXY_MEMORY: &str = "sidecar.istio.io/proxyMemory";
/// Memory limit of the proxy.
pub const PROXY_MEMORY_LIMIT: &str = "sidecar.istio.io/proxyMemoryLimit";
/// Image of the proxy.
pub const PROXY_IMAGE: &str = "sidecar.istio.io/proxyImage";
/// Kind of the proxy's image: a suffix of its tag, such as `debug` or `distroless`; `default` for none.
pub const PROXY_IMAGE_TYPE: &str = "sidecar.istio.io/proxyImageType";
/// Volumes of the user, for the proxy: JSON, by name or as a list.
pub const USER_VOLUME: &str = "sidecar.istio.io/userVolume";
/// Mounts of the user, in the proxy: JSON, by volume or as a list.
pub const USER_VOLUME_MOUNT: &str = "sidecar.istio.io/userVolumeMount";
/// Log level of the proxy.
pub const LOG_LEVEL: &str = "sidecar.istio.io/logLevel";
/// Log levels of components of the proxy.
pub const COMPONENT_LOG_LEVEL: &str = "sidecar.istio.io/componentLogLevel";
/// Log level of the agent.
pub const AGENT_LOG_LEVEL: &str = "sidecar.istio.io/agentLogLevel";
/// Address of the control plane.
pub const DISCOVERY_ADDRESS: &str = "sidecar.istio.io/discoveryAddress";

/// Port of the agent's endpoints; 0 for none, and no readiness probe.
pub const STATUS_PORT: &str = "status.sidecar.istio.io/port";
/// Seconds before the first readiness probe of the proxy.
pub const READINESS_INITIAL_DELAY: &str = "readiness.status.sidecar.istio.io/initialDelaySeconds";
/// Seconds between readiness probes of the proxy.
pub const READINESS_PERIOD: &str = "readiness.status.sidecar.istio.io/periodSeconds";
/// Failed readiness probes of the proxy until it counts as not ready.
pub const READINESS_FAILURES: &str = "readiness.status.sidecar.istio.io/failureThreshold";
/// Whether the application's probes go through the agent.
pub const REWRITE_PROBES: &str = "sidecar.istio.io/rewriteAppHTTPProbers";

/// Whether the application's metrics are served with the proxy's.
pub const MERGE_METRICS: &str = "prometheus.istio.io/merge-metrics";
/// Where the application's metrics are, if there are several places: `port:path`, separated by commas.
pub const SCRAPE_TARGETS: &str = "prometheus.istio.io/scrape-targets";
/// Prometheus' convention: scrape this pod.
pub const PROMETHEUS_SCRAPE: &str = "prometheus.io/scrape";
/// Prometheus' convention: at this port.
pub const PROMETHEUS_PORT: &str = "prometheus.io/port";
/// Prometheus' convention: under this path.
pub const PROMETHEUS_PATH: &str = "prometheus.io/path";
/// Prometheus' convention: by this scheme.
pub const PROMETHEUS_SCHEME: &str = "prometheus.io/scheme";

/// The container that kubectl means when none is named.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// The container whose logs kubectl means when none is named.
pub const DEFAULT_LOGS_CONTAINER: &str = "kubectl.kubernetes.io/default-logs-container";
/// Kubernetes' recommended label: name of the application.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// Kubernetes' recommended label: version of the application.
pub const APP_VERSION: &str = "app.kubernetes.io/version";
