//! What is counted of the world itself, when somebody asks.

use crate::{
    push::Published,
    snapshot::{Service, ServicePort, World},
    translate::Claim,
};
use mesh_runtime::metrics::Text;
use std::sync::Arc;

/// Endpoints whose pod is not known.
const NO_POD: &str = "endpoint_no_pod";
/// Clusters without an endpoint that could be used.
pub const NO_INSTANCES: &str = "pilot_eds_no_instances";

/// All of it, in Prometheus' text format.
pub fn text(published: &Published) -> String {
    let (mut text, world) = (Text::default(), &published.world);
    for (claim, help) in [
        (
            Claim::InboundPort,
            "Ports of pods that two services claim with different protocols.",
        ),
        (
            Claim::OutboundAddress,
            "Addresses that two services claim for bytes.",
        ),
    ] {
        let conflicts = published.conflicts.iter().filter(|c| c.claim == claim);
        let number = conflicts.count() as u64;
        if let Some(name) = claim.metric() {
            text.gauge(name, help, &[], number);
        }
    }
    let empty = no_instances(world).count() as u64;
    let help = "Clusters of services that have no endpoint that is ready.";
    text.gauge(NO_INSTANCES, help, &[], empty);
    let help = "Endpoints of services with a selector whose pod is not known.";
    text.gauge(NO_POD, help, &[], no_pod(world));
    text.finish()
}

/// Ports of services behind which nothing is ready.
pub fn no_instances(world: &World) -> impl Iterator<Item = (&Arc<Service>, &ServicePort)> {
    world.services().ports().filter(|(service, port)| {
        let usable =
            |ready: bool, terminating: bool| (ready || service.publish_not_ready) && !terminating;
        let mut endpoints = world.endpoints(&service.host).on_port(port);
        !endpoints.any(|(_, e)| usable(e.ready, e.terminating))
    })
}

fn no_pod(world: &World) -> u64 {
    let services = world.services().iter().filter(|s| !s.selector.is_empty());
    let endpoints = services.flat_map(|service| world.endpoints(&service.host).iter());
    endpoints.filter(|e| e.workload.is_none()).count() as u64
}
