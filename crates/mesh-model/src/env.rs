//! Environment variables that injection sets and the proxy reads (Istio's names).

/// Pod's name (downward API).
pub const POD_NAME: &str = "POD_NAME";
/// Pod's namespace (downward API).
pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
/// Pod's address (downward API).
pub const INSTANCE_IP: &str = "INSTANCE_IP";
/// Node's address (downward API).
pub const HOST_IP: &str = "HOST_IP";
/// Pod's service account (downward API).
pub const SERVICE_ACCOUNT: &str = "SERVICE_ACCOUNT";
/// Address of the certificate authority, `host:port`.
pub const CA_ADDR: &str = "CA_ADDR";
/// Who signs: `istiod`.
pub const PILOT_CERT_PROVIDER: &str = "PILOT_CERT_PROVIDER";
/// CPU limit in cores, rounded up; the default number of workers.
pub const ISTIO_CPU_LIMIT: &str = "ISTIO_CPU_LIMIT";
/// JSON of the non-default `ProxyConfig`.
pub const PROXY_CONFIG: &str = "PROXY_CONFIG";
/// Trust domain of the mesh.
pub const TRUST_DOMAIN: &str = "TRUST_DOMAIN";
/// JSON: application probes that the agent answers for the kubelet.
pub const ISTIO_KUBE_APP_PROBERS: &str = "ISTIO_KUBE_APP_PROBERS";
/// JSON: where the application's own metrics are.
pub const ISTIO_PROMETHEUS_ANNOTATIONS: &str = "ISTIO_PROMETHEUS_ANNOTATIONS";
/// Prefix of string-valued node metadata: `ISTIO_META_<KEY>`.
pub const META_PREFIX: &str = "ISTIO_META_";
/// Prefix of JSON-valued node metadata: `ISTIO_METAJSON_<KEY>`.
pub const METAJSON_PREFIX: &str = "ISTIO_METAJSON_";
