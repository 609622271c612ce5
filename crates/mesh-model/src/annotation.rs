//! Labels and annotations of Kubernetes objects that the mesh reads or writes (Istio's names).

/// Namespace label: `enabled` injects, `disabled` blocks.
pub const INJECTION: &str = "istio-injection";
/// Namespace or pod label: the revision of the control plane.
pub const REVISION: &str = "istio.io/rev";
/// Pod label or annotation: `true` or `false`.
pub const INJECT: &str = "sidecar.istio.io/inject";
/// Pod annotation, JSON: what injection added.
pub const STATUS: &str = "sidecar.istio.io/status";
/// Pod annotation: native sidecar placement, `true` or `false`.
pub const NATIVE_SIDECAR: &str = "sidecar.istio.io/nativeSidecar";
/// Pod annotation: YAML overlay of `ProxyConfig`.
pub const PROXY_CONFIG: &str = "proxy.istio.io/config";
/// Pod annotation: user's own fields of injected containers.
pub const PROXY_OVERRIDES: &str = "proxy.istio.io/overrides";
/// Pod label: `istio` when the pod's proxy accepts mutual TLS.
pub const TLS_MODE: &str = "security.istio.io/tlsMode";
/// Value of [`TLS_MODE`], and of the endpoint metadata key `tlsMode`.
pub const TLS_MODE_ISTIO: &str = "istio";
/// Pod label: the service a workload belongs to in metrics.
pub const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
/// Pod label: its revision in metrics.
pub const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";
/// Pod label: locality, `region.zone.subzone`.
pub const LOCALITY: &str = "istio-locality";
/// Pod label: the same, by its newer name.
pub const TOPOLOGY_LOCALITY: &str = "topology.istio.io/locality";
/// Node label: region.
pub const TOPOLOGY_REGION: &str = "topology.kubernetes.io/region";
/// Node label: zone.
pub const TOPOLOGY_ZONE: &str = "topology.kubernetes.io/zone";
/// Node label: subzone.
pub const TOPOLOGY_SUBZONE: &str = "topology.istio.io/subzone";
/// Pod or namespace label: network.
pub const TOPOLOGY_NETWORK: &str = "topology.istio.io/network";
/// EndpointSlice label: the Service it belongs to.
pub const SLICE_SERVICE_NAME: &str = "kubernetes.io/service-name";
