//! What a pod itself says: its ports, its sidecar, and what the mesh would like to be otherwise.

use mesh_api::k8s::api::core::v1::{Container, ContainerStatus, Pod, SecurityContext};
use mesh_injector::SidecarStatus;
use mesh_model::annotation::{REVISION, STATUS};
use mesh_model::port::PROXY_UID;

use super::labels::Labels;

/// The sidecar's container.
pub(crate) const PROXY: &str = "istio-proxy";
/// Labels that give a workload its name in telemetry, any of them.
const NAMES: [&str; 3] = [
    "service.istio.io/canonical-name",
    "app.kubernetes.io/name",
    "app",
];
/// Labels that give it its version, any of them.
const VERSIONS: [&str; 3] = [
    "service.istio.io/canonical-revision",
    "app.kubernetes.io/version",
    "version",
];

/// A pod, seen from the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Revision of the control plane that it belongs to; empty if it has none.
    pub(crate) revision: String,
    /// `<port> (<container>)`; what is not TCP with its protocol.
    pub(crate) ports: Vec<String>,
    /// What it is doing, as Kubernetes says: `Running`.
    pub(crate) phase: String,
    /// Containers that are not ready.
    pub(crate) unready: Vec<String>,
    /// Init containers that are not ready.
    pub(crate) unready_init: Vec<String>,
    /// Whether the sidecar is there.
    pub(crate) is_meshed: bool,
    /// Whether an application runs as the proxy's user, so that its traffic is not captured.
    pub(crate) is_proxys_user: bool,
    /// Whether a label names it for telemetry.
    pub(crate) has_name: bool,
    /// Whether a label gives its version for telemetry.
    pub(crate) has_version: bool,
}

impl Facts {
    /// Those of `pod`.
    pub(crate) fn of(pod: &Pod) -> Self {
        let empty = Labels::new();
        let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
        let has = |any: [&str; 3]| any.iter().any(|label| labels.contains_key(*label));
        let status = pod.status.clone().unwrap_or_default();
        let unready = |statuses: &Option<Vec<ContainerStatus>>| {
            let statuses = statuses.iter().flatten().filter(|status| !status.ready);
            statuses.map(|status| status.name.clone()).collect()
        };
        Self {
            revision: revision(pod),
            ports: containers(pod).flat_map(ports).collect(),
            unready: unready(&status.container_statuses),
            unready_init: unready(&status.init_container_statuses),
            phase: status.phase.unwrap_or_default(),
            is_meshed: containers(pod).any(|container| container.name == PROXY),
            is_proxys_user: is_proxys_user(pod),
            has_name: has(NAMES),
            has_version: has(VERSIONS),
        }
    }
}

/// The containers that run as long as the pod: the native sidecars last.
pub(crate) fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| {
        let init = spec.init_containers.iter().flatten();
        let native = init.filter(|one| one.restart_policy.as_deref() == Some("Always"));
        spec.containers.iter().chain(native)
    })
}

/// As the injection noted it.
fn revision(pod: &Pod) -> String {
    let annotation = |key: &str| pod.metadata.annotations.as_ref()?.get(key);
    if let Some(revision) = annotation(REVISION) {
        return revision.clone();
    }
    let status = annotation(STATUS).and_then(|text| serde_json::from_str(text).ok());
    status.map_or_else(String::new, |status: SidecarStatus| status.revision)
}

fn ports(container: &Container) -> Vec<String> {
    let ports = container.ports.iter().flatten();
    let ports = ports.map(|port| {
        let protocol = match port.protocol.as_deref() {
            None | Some("TCP") => String::new(),
            Some(other) => format!("/{other}"),
        };
        format!("{}{protocol} ({})", port.container_port, container.name)
    });
    ports.collect()
}

fn is_proxys_user(pod: &Pod) -> bool {
    let of_pod = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.security_context.as_ref());
    let of_pod = of_pod.and_then(|context| context.run_as_user);
    let user = |own: &Option<SecurityContext>| own.as_ref().and_then(|own| own.run_as_user);
    let mut apps = containers(pod).filter(|container| container.name != PROXY);
    apps.any(|app| user(&app.security_context).or(of_pod) == Some(PROXY_UID.into()))
}
