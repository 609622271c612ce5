//! What two objects claim and one gets: the older, as in Istio. The other is named here, so that nothing loses in silence.
//!
//! Follows the rules of [`super::outbound`], [`super::proxy`] and the mutual TLS of workloads; decides nothing itself.

use super::outbound;
use crate::{
    snapshot::{Protocol, Service, ServicePort, TargetPort, Traffic, Workload, World},
    watch::{Effect, Problem},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
};

/// A claim that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// About what.
    pub claim: Claim,
    /// Who lost, and to whom.
    pub problem: Problem,
}

/// What was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// An address that another service has.
    OutboundAddress,
    /// A port on which every sidecar listens itself.
    SidecarPort,
    /// A port of a pod that another service has, with another protocol.
    InboundPort,
    /// What workloads take, which an older policy says.
    PeerAuthentication,
}

impl Claim {
    /// Istio's metric for it, where there is one.
    pub fn metric(self) -> Option<&'static str> {
        match self {
            Self::OutboundAddress => Some("pilot_conflict_outbound_listener_tcp_over_current_tcp"),
            Self::InboundPort => Some("pilot_conflict_inbound_listener"),
            Self::SidecarPort | Self::PeerAuthentication => None,
        }
    }
}

/// All of them, in order, each once.
pub fn conflicts(world: &World) -> Arc<[Conflict]> {
    let mut all = BTreeSet::new();
    outbound_claims(world, &mut all);
    inbound_claims(world, &mut all);
    for (younger, older) in world.eclipsed_peer_authentications() {
        let reason = format!(
            "PeerAuthentication {younger} and {older}, which is older, are for the same workloads: there {older} counts"
        );
        let place = format!("PeerAuthentication {younger}");
        let problem = problem(place, reason, Effect::Overruled);
        all.insert(Conflict {
            claim: Claim::PeerAuthentication,
            problem,
        });
    }
    all.into_iter().collect()
}

fn problem(place: String, reason: String, effect: Effect) -> Problem {
    Problem {
        place,
        line: None,
        reason,
        effect,
        hint: None,
    }
}

fn named(service: &Service) -> String {
    format!("{}/{}", service.namespace, service.name)
}

fn of_service(service: &Service, claim: Claim, effect: Effect, reason: String) -> Conflict {
    let name = named(service);
    Conflict {
        claim,
        problem: problem(
            format!("Service {name}"),
            format!("Service {name}: {reason}"),
            effect,
        ),
    }
}

/// Services that have an address each, and pods of headless ones.
fn outbound_claims<'w>(world: &'w World, all: &mut BTreeSet<Conflict>) {
    let mut own: HashMap<SocketAddr, &'w Service> = HashMap::new();
    let mut of_pods: HashMap<SocketAddr, &'w Service> = HashMap::new();
    for (service, port) in world.services().ports() {
        if port.protocol.traffic() == Traffic::Http {
            all.extend(sidecar_port(service, port));
            continue;
        }
        let mut lost_to: Vec<(SocketAddr, &'w Service)> = Vec::new();
        let mut claim = |taken: &mut HashMap<SocketAddr, &'w Service>, address| {
            let owner: &'w Service = taken.entry(address).or_insert(service);
            if !std::ptr::eq(owner, &**service)
                && lost_to.iter().all(|(_, o)| !std::ptr::eq(*o, owner))
            {
                lost_to.push((address, owner));
            }
        };
        for address in service.reached_at() {
            claim(&mut own, SocketAddr::new(address, port.number));
        }
        if service.is_headless() {
            let endpoints = world.endpoints(&service.host).iter();
            let serving = endpoints.filter(|e| e.port(&port.name).is_some() && !e.terminating);
            for endpoint in serving {
                claim(&mut of_pods, SocketAddr::new(endpoint.address, port.number));
            }
        }
        all.extend(lost_to.into_iter().map(|(address, owner)| {
            let reason = format!(
                "{address} belongs to Service {}, which is older",
                named(owner)
            );
            of_service(service, Claim::OutboundAddress, Effect::Overruled, reason)
        }));
    }
}

fn sidecar_port(service: &Service, port: &ServicePort) -> Option<Conflict> {
    let number = port.number;
    outbound::TAKEN.contains(&number).then(|| {
        let reason = format!(
            "port {number} is one of the sidecar's own: requests to it are passed on as bytes, without routes"
        );
        of_service(service, Claim::SidecarPort, Effect::FieldIgnored, reason)
    })
}

/// Services that have pods in common. Only where ports can coincide are the pods looked at.
fn inbound_claims(world: &World, all: &mut BTreeSet<Conflict>) {
    let suspects: HashMap<&str, Vec<&Arc<Service>>> = world
        .services()
        .namespaces()
        .map(|(namespace, services)| (namespace, selecting(services)))
        .filter(|(_, services)| may_collide(services))
        .collect();
    if suspects.is_empty() {
        return;
    }
    for workload in world.workloads().iter() {
        if let Some(services) = suspects.get(&*workload.namespace) {
            of_workload(workload, services, all);
        }
    }
}

fn selecting(services: &[Arc<Service>]) -> Vec<&Arc<Service>> {
    let concrete = services.iter().filter(|s| !s.is_alias());
    concrete.filter(|s| !s.selector.is_empty()).collect()
}

/// Whether two ports with different protocols may be one port of a pod.
fn may_collide(services: &[&Arc<Service>]) -> bool {
    let mut numbers: HashMap<u16, HashSet<Protocol>> = HashMap::new();
    let (mut by_name, mut any) = (false, HashSet::new());
    for port in services.iter().flat_map(|service| &service.ports) {
        any.insert(port.protocol);
        match &port.target {
            TargetPort::Number(number) => {
                numbers.entry(*number).or_default().insert(port.protocol);
            }
            TargetPort::Named(_) => by_name = true,
        }
    }
    (by_name && any.len() > 1) || numbers.values().any(|protocols| protocols.len() > 1)
}

fn of_workload(workload: &Workload, services: &[&Arc<Service>], all: &mut BTreeSet<Conflict>) {
    let mut taken: BTreeMap<u16, (&Service, Protocol)> = BTreeMap::new();
    for service in services.iter().filter(|s| s.selects(&workload.labels)) {
        for port in &service.ports {
            let number = match &port.target {
                TargetPort::Number(number) => Some(*number),
                TargetPort::Named(name) => workload.port(name),
            };
            let Some(number) = number else { continue };
            let (owner, protocol) = *taken.entry(number).or_insert((service, port.protocol));
            if protocol != port.protocol {
                let reason = format!(
                    "port {} is port {number} of its pods, where Service {} is older: there it is {protocol:?}, not {:?}",
                    port.number,
                    named(owner),
                    port.protocol
                );
                let effect = Effect::Overruled;
                all.insert(of_service(service, Claim::InboundPort, effect, reason));
            }
        }
    }
}
