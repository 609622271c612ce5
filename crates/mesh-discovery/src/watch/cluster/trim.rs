//! Drops what the mesh does not read of an object, before it is kept and compared.
//!
//! That saves memory, and it saves pushes: what changes all the time on a living object (its version, its managed fields,
//! most conditions of its status, the time of a slice's last change) is among it.

use crate::snapshot::CONTAINERS_READY;
use mesh_api::k8s::{
    api::{
        core::v1::{Container, Namespace, Node, Pod, PodCondition, PodSpec, PodStatus, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// Annotations that speak to the mesh are kept.
fn is_for_the_mesh(annotation: &str) -> bool {
    let domain = annotation.split('/').next().unwrap_or_default();
    domain.ends_with("istio.io") || domain == "prometheus.io"
}

/// Of any object.
pub(super) fn metadata(metadata: &mut ObjectMeta) {
    let all = std::mem::take(metadata);
    let annotations = all.annotations.map(|mut annotations| {
        annotations.retain(|key, _| is_for_the_mesh(key));
        annotations
    });
    *metadata = ObjectMeta {
        name: all.name,
        namespace: all.namespace,
        uid: all.uid,
        labels: all.labels,
        annotations: annotations.filter(|a| !a.is_empty()),
        creation_timestamp: all.creation_timestamp,
        owner_references: all.owner_references,
        ..ObjectMeta::default()
    };
}

/// Of a Service: its status.
pub(super) fn service(object: &mut Service) {
    metadata(&mut object.metadata);
    object.status = None;
}

/// Of an EndpointSlice: all that identifies the pods beyond their names.
pub(super) fn endpoint_slice(object: &mut EndpointSlice) {
    metadata(&mut object.metadata);
    object.metadata.owner_references = None;
    for target in object
        .endpoints
        .iter_mut()
        .filter_map(|e| e.target_ref.as_mut())
    {
        target.resource_version = None;
        target.uid = None;
    }
}

/// Of a Node: all but its labels.
pub(super) fn node(object: &mut Node) {
    metadata(&mut object.metadata);
    object.metadata.owner_references = None;
    object.spec = None;
    object.status = None;
}

/// Of a Namespace: all but its labels.
pub(super) fn namespace(object: &mut Namespace) {
    metadata(&mut object.metadata);
    object.metadata.annotations = None;
    object.spec = None;
    object.status = None;
}

/// Of a Pod: all but where it runs, under which account, on which ports and addresses.
pub(super) fn pod(object: &mut Pod) {
    metadata(&mut object.metadata);
    object.spec = object.spec.take().map(|spec| PodSpec {
        node_name: spec.node_name,
        service_account_name: spec.service_account_name,
        host_network: spec.host_network,
        hostname: spec.hostname,
        subdomain: spec.subdomain,
        containers: containers(spec.containers),
        init_containers: spec.init_containers.map(containers),
        readiness_gates: spec.readiness_gates,
        ..PodSpec::default()
    });
    object.status = object.status.take().map(|status| PodStatus {
        phase: status.phase,
        pod_ip: status.pod_ip,
        pod_ips: status.pod_ips,
        conditions: status
            .conditions
            .map(|all| all.into_iter().filter_map(condition).collect()),
        ..PodStatus::default()
    });
}

/// The one that is read, without its times, which change more often than it.
fn condition(condition: PodCondition) -> Option<PodCondition> {
    (condition.type_ == CONTAINERS_READY).then(|| PodCondition {
        type_: condition.type_,
        status: condition.status,
        ..PodCondition::default()
    })
}

fn containers(all: Vec<Container>) -> Vec<Container> {
    all.into_iter()
        .map(|container| Container {
            name: container.name,
            ports: container.ports,
            restart_policy: container.restart_policy,
            ..Container::default()
        })
        .collect()
}
