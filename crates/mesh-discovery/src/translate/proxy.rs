//! What translation reads of a connected proxy.

use super::{
    family::Families,
    key::{Client, InboundPort, Server},
};
use crate::snapshot::{Service, ServiceEndpoint, ServicePort, TargetPort, Workload, World};
use mesh_model::{
    endpoint::Locality,
    node::{Capabilities, NodeId},
};
use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

/// What translation reads of a connected proxy: what it said of itself, and the pod in the world that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Who it is.
    pub id: NodeId,
    /// Which extensions it executes.
    pub capabilities: Capabilities,
    /// Its pod's labels, as it sent them; the pod's own are taken where the pod is known.
    pub labels: BTreeMap<String, String>,
    /// All addresses of its pod, as it sent them (`INSTANCE_IPS`); that of its id if it sent none.
    pub addresses: Vec<IpAddr>,
    /// Where it runs, as it sent it.
    pub locality: Locality,
}

impl Proxy {
    /// A proxy that said nothing of itself but who it is and what it can do.
    pub fn new(id: NodeId, capabilities: Capabilities) -> Self {
        Self {
            addresses: vec![id.ip],
            id,
            capabilities,
            labels: BTreeMap::new(),
            locality: Locality::default(),
        }
    }

    /// Its pod, by name: an address may already belong to another.
    pub fn workload<'w>(&self, world: &'w World) -> Option<&'w Arc<Workload>> {
        world.workloads().get(&self.id.namespace, &self.id.pod)
    }

    /// All of it that outbound resources depend on.
    pub(super) fn client(&self, world: &World) -> Client {
        Client {
            capabilities: self.capabilities,
            families: Families::of(&self.addresses(world)),
        }
    }

    /// All of it that inbound resources depend on.
    pub(super) fn server(&self, world: &World) -> Server {
        Server {
            client: self.client(world),
            ports: self.inbound_ports(world),
            mutual_tls: world.mutual_tls(&self.id.namespace, self.labels(world)),
        }
    }

    /// Those of its addresses that are endpoints of a headless service of its namespace.
    pub(super) fn headless_addresses(&self, world: &World) -> Vec<IpAddr> {
        let headless = self.services(world).filter(|s| s.is_headless());
        let endpoints: HashSet<_> = headless
            .flat_map(|s| world.endpoints(&s.host).iter())
            .map(|e| e.address)
            .collect();
        self.addresses(world)
            .into_iter()
            .filter(|address| endpoints.contains(address))
            .collect()
    }

    /// Those of its namespace, oldest first.
    fn services<'w>(&self, world: &'w World) -> impl Iterator<Item = &'w Arc<Service>> {
        world
            .services()
            .in_namespace(&self.id.namespace)
            .iter()
            .filter(|s| !s.is_alias())
    }

    fn addresses(&self, world: &World) -> Vec<IpAddr> {
        let of_pod = self
            .workload(world)
            .map(|w| w.addresses.clone())
            .unwrap_or_default();
        if of_pod.is_empty() {
            self.addresses.clone()
        } else {
            of_pod
        }
    }

    /// The ports on which it takes requests, ascending. Where two services claim one, the oldest has it.
    fn inbound_ports(&self, world: &World) -> Vec<InboundPort> {
        let mut ports: BTreeMap<u16, InboundPort> = BTreeMap::new();
        for service in self.services(world).filter(|s| self.belongs_to(s, world)) {
            for port in &service.ports {
                if let Some(number) = self.target(service, port, world) {
                    ports
                        .entry(number)
                        .or_insert_with(|| InboundPort::new(number, service, port));
                }
            }
        }
        ports.into_values().collect()
    }

    /// By selector, so that a proxy is ready to serve before its pod is an endpoint; without one, by endpoint.
    fn belongs_to(&self, service: &Service, world: &World) -> bool {
        if service.selector.is_empty() {
            return self.own_endpoints(service, world).next().is_some();
        }
        service.selects(self.labels(world))
    }

    fn labels<'w>(&'w self, world: &'w World) -> &'w BTreeMap<String, String> {
        self.workload(world).map_or(&self.labels, |w| &w.labels)
    }

    /// The port of its pod behind a service port. Endpoints written by hand say it themselves.
    fn target(&self, service: &Service, port: &ServicePort, world: &World) -> Option<u16> {
        if service.selector.is_empty() {
            return self
                .own_endpoints(service, world)
                .find_map(|e| e.port(&port.name));
        }
        match &port.target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Named(name) => self.workload(world)?.port(name),
        }
    }

    /// Endpoints of a service that are its pod.
    fn own_endpoints<'w>(
        &self,
        service: &Service,
        world: &'w World,
    ) -> impl Iterator<Item = &'w ServiceEndpoint> {
        let own = self.workload(world);
        let endpoints = world.endpoints(&service.host).iter();
        endpoints.filter(move |e| own.is_some() && e.workload.as_ref() == own)
    }
}
