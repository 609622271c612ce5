//! Endpoints of a cluster.

use super::family::Families;
use crate::snapshot::{Service, ServiceEndpoint, Workload, World};
use mesh_model::{
    ClusterName, annotation,
    endpoint::{ClusterLoadAssignment, Endpoint, HealthStatus, Locality, LocalityEndpoints},
    name::Direction,
};
use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

/// The endpoints of `name`; `None` if it is no outbound cluster of a service, or a headless one's, whose clients have
/// found the endpoint themselves. Empty if there are none to be used.
pub(super) fn load_assignment(
    world: &World,
    name: &ClusterName,
    families: Families,
    node: Option<&str>,
) -> Option<ClusterLoadAssignment> {
    let parts = name
        .parts()
        .filter(|p| p.direction == Direction::Outbound && p.subset.is_empty())?;
    let service = world
        .services()
        .get(parts.host)
        .filter(|s| !s.is_headless() && !s.is_alias())?;
    let port = service.port(parts.port)?;
    let mut localities: BTreeMap<Locality, Vec<Endpoint>> = BTreeMap::new();
    let mut pods = HashSet::new();
    for (socket, endpoint) in world.endpoints(&service.host).on_port(port) {
        let usable = usable(service, endpoint, node) && families.reach(endpoint.address);
        // A pod with two addresses is one endpoint.
        if usable
            && endpoint
                .workload
                .as_ref()
                .is_none_or(|w| pods.insert((&w.name, socket.port())))
        {
            let locality = endpoint
                .workload
                .as_ref()
                .map(|w| w.locality.clone())
                .unwrap_or_default();
            localities
                .entry(locality)
                .or_default()
                .push(lb_endpoint(world, socket, endpoint));
        }
    }
    Some(ClusterLoadAssignment {
        localities: localities
            .into_iter()
            .map(|(locality, endpoints)| weighted(locality, endpoints))
            .collect(),
        ..ClusterLoadAssignment::new(name.clone())
    })
}

/// What is not ready is withheld altogether. Sent as unhealthy, it would be sent requests as soon as more than half of
/// the endpoints are: clusters keep Envoy's panic threshold.
fn usable(service: &Service, endpoint: &ServiceEndpoint, node: Option<&str>) -> bool {
    let here = !service.node_local || (node.is_some() && endpoint.node.as_deref() == node);
    ready(service, endpoint) && here
}

/// Whether clients of a service are to know of an endpoint.
pub(super) fn ready(service: &Service, endpoint: &ServiceEndpoint) -> bool {
    endpoint.ready || (service.publish_not_ready && !endpoint.terminating)
}

/// Clusters weigh localities, and one without a weight would be sent nothing.
fn weighted(locality: Locality, endpoints: Vec<Endpoint>) -> LocalityEndpoints {
    LocalityEndpoints {
        locality,
        weight: Some(endpoints.iter().map(|e| e.weight).sum()),
        endpoints,
        ..Default::default()
    }
}

static TLS_MODE: LazyLock<(Arc<str>, Arc<str>)> =
    LazyLock::new(|| ("tlsMode".into(), annotation::TLS_MODE_ISTIO.into()));

fn lb_endpoint(world: &World, socket: SocketAddr, endpoint: &ServiceEndpoint) -> Endpoint {
    Endpoint {
        health: HealthStatus::Healthy,
        transport_match: endpoint
            .accepts_mtls(world, socket.port())
            .then(|| TLS_MODE.clone())
            .into_iter()
            .collect(),
        workload: endpoint.workload.as_ref().map(|w| workload(world, w)),
        ..Endpoint::at(socket)
    }
}

fn workload(world: &World, workload: &Workload) -> Arc<str> {
    let Workload {
        owner, namespace, ..
    } = workload;
    let (name, revision) = (workload.canonical_name(), workload.canonical_revision());
    format!(
        "{owner};{namespace};{name};{revision};{}",
        world.cluster().id
    )
    .into()
}
