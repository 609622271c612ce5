//! The endpoints of one service, gathered from its slices.

use super::{MtlsMode, ServicePort, Workload, World, service::port_number};
use mesh_api::k8s::api::discovery::v1 as k8s;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// All endpoints of a service, ready or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceEndpoints {
    all: Vec<ServiceEndpoint>,
}

/// One address of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEndpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its ports, by the name of the service port.
    pub ports: Arc<[(String, u16)]>,
    /// Its own name below the service's (`hostname` of a pod whose `subdomain` is the service).
    pub hostname: Option<Arc<str>>,
    /// It may be sent requests.
    pub ready: bool,
    /// It is shutting down.
    pub terminating: bool,
    /// The node that it runs on.
    pub node: Option<Arc<str>>,
    /// The pod behind it; `None` for what is no pod, such as the API server.
    pub workload: Option<Arc<Workload>>,
}

impl ServiceEndpoints {
    /// None at all.
    pub const NONE: Self = Self { all: Vec::new() };

    /// Reads the slices of one service; `workload_of` finds the pod of an endpoint.
    pub fn from_slices<'a>(
        slices: impl IntoIterator<Item = &'a k8s::EndpointSlice>,
        workload_of: impl Fn(&k8s::Endpoint, IpAddr) -> Option<Arc<Workload>>,
    ) -> Self {
        let mut all: Vec<ServiceEndpoint> = Vec::new();
        for slice in slices {
            let ports = slice_ports(slice);
            for endpoint in &slice.endpoints {
                let addresses = endpoint
                    .addresses
                    .iter()
                    .filter_map(|text| text.parse().ok());
                all.extend(addresses.map(|address| {
                    ServiceEndpoint::new(endpoint, address, &ports, workload_of(endpoint, address))
                }));
            }
        }
        all.sort_by(|a, b| a.rank().cmp(&b.rank()));
        // An endpoint that moves between slices stands in both for a while.
        all.dedup_by(|later, first| later.address == first.address && later.ports == first.ports);
        Self {
            all: or_the_unheard(all),
        }
    }

    /// All of them, by address.
    pub fn iter(&self) -> impl Iterator<Item = &ServiceEndpoint> {
        self.all.iter()
    }

    /// The sockets behind `port`, whether ready or not.
    pub fn on_port<'a>(
        &'a self,
        port: &'a ServicePort,
    ) -> impl Iterator<Item = (SocketAddr, &'a ServiceEndpoint)> {
        self.all.iter().filter_map(|endpoint| {
            let number = endpoint.port(&port.name)?;
            Some((SocketAddr::new(endpoint.address, number), endpoint))
        })
    }

    /// Namespaces and service accounts of its pods. Those that are not ready count too, so that a pod that becomes ready
    /// is trusted already.
    pub fn service_accounts(&self) -> BTreeSet<(&str, &str)> {
        let workloads = self.all.iter().filter_map(|e| e.workload.as_deref());
        workloads
            .map(|w| (&*w.namespace, &*w.service_account))
            .collect()
    }

    /// Whether there are any behind `port`, and all accept mutual TLS there.
    pub fn all_accept_mtls(&self, world: &World, port: &ServicePort) -> bool {
        let mut sockets = self.on_port(port).peekable();
        sockets.peek().is_some()
            && sockets.all(|(socket, endpoint)| endpoint.accepts_mtls(world, socket.port()))
    }
}

/// If none is ready, those that are so as far as their kubelets could tell.
///
/// When a cluster has lost sight of its nodes, as after a time without an API server, Kubernetes declares all their pods
/// not ready. They serve on, and there is nowhere better to send to. Where an application is not ready its kubelet says so,
/// and that counts.
fn or_the_unheard(mut all: Vec<ServiceEndpoint>) -> Vec<ServiceEndpoint> {
    if !all.iter().any(|endpoint| endpoint.ready) {
        for endpoint in all.iter_mut().filter(|endpoint| !endpoint.terminating) {
            let workload = endpoint.workload.as_ref();
            endpoint.ready = workload.is_some_and(|w| w.containers_are_ready);
        }
    }
    all
}

impl ServiceEndpoint {
    fn new(
        endpoint: &k8s::Endpoint,
        address: IpAddr,
        ports: &Arc<[(String, u16)]>,
        workload: Option<Arc<Workload>>,
    ) -> Self {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let node = endpoint.node_name.as_deref().map(Arc::from);
        Self {
            address,
            ports: ports.clone(),
            hostname: endpoint.hostname.as_deref().map(Arc::from),
            // Not said means ready (discovery.k8s.io/v1).
            ready: conditions.ready.unwrap_or(true),
            terminating: conditions.terminating.unwrap_or(false),
            node: node.or_else(|| workload.as_ref()?.node.clone()),
            workload,
        }
    }

    /// Its port for the service port of that name.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.ports
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, port)| *port)
    }

    /// Its proxy accepts mutual TLS on that port of the pod.
    pub fn accepts_mtls(&self, world: &World, port: u16) -> bool {
        let proxied = self.workload.as_ref().filter(|w| w.accepts_mtls);
        proxied.is_some_and(|w| {
            world.mutual_tls(&w.namespace, &w.labels).on(port) != MtlsMode::Disable
        })
    }

    /// By address, and among equals the one that is ready first.
    fn rank(&self) -> impl Ord {
        (
            self.address,
            self.ports.clone(),
            !self.ready,
            self.terminating,
        )
    }
}

fn slice_ports(slice: &k8s::EndpointSlice) -> Arc<[(String, u16)]> {
    let tcp = slice
        .ports
        .iter()
        .flatten()
        .filter(|p| matches!(p.protocol.as_deref(), None | Some("TCP")));
    tcp.filter_map(|port| {
        Some((
            port.name.clone().unwrap_or_default(),
            port_number(port.port?)?,
        ))
    })
    .collect()
}
