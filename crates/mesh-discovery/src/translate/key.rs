//! What a resource depends on, of the proxy that it is for.

use super::{Proxy, cluster, endpoint, family::Families, inbound, names, outbound, route};
use crate::snapshot::{MutualTls, Protocol, Service, ServicePort, World};
use mesh_model::{
    ClusterName, RouteName,
    cluster::{Cluster, ServiceRef},
    endpoint::ClusterLoadAssignment,
    listener::Listener,
    name_table::NameTable,
    node::Capabilities,
    route::RouteConfiguration,
};
use std::{net::IpAddr, sync::Arc};

/// One piece of what proxies are sent, with all of the proxy that it depends on. Within one world, equal keys build
/// equal resources.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Clusters of all services, with those that send nowhere and anywhere.
    OutboundClusters(Client),
    /// Clusters of the pod's own ports.
    InboundClusters(Server),
    /// Listeners of all services, and the one that takes all outbound traffic.
    OutboundListeners(Client),
    /// Listeners of the pods of headless services, but for those at `own` addresses.
    HeadlessListeners {
        /// The proxy.
        client: Client,
        /// Addresses of the proxy's own pod; empty unless it is an endpoint of a headless service.
        own: Vec<IpAddr>,
    },
    /// The listener that takes all inbound traffic.
    InboundListener(Server),
    /// A route configuration.
    Route {
        /// Its name.
        name: RouteName,
        /// Namespace whose services are known by their short names; `None` where it makes no difference.
        namespace: Option<Arc<str>>,
    },
    /// The endpoints of a cluster.
    Endpoints {
        /// Its name.
        cluster: ClusterName,
        /// IP versions that the proxy can reach.
        families: Families,
        /// The proxy's node; `None` where it makes no difference.
        node: Option<Arc<str>>,
    },
    /// The names that the proxy answers itself. Shorter ones it makes up itself, by its own namespace.
    NameTable {
        /// IP versions that the proxy can reach.
        families: Families,
    },
}

/// What outbound resources depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Which extensions the proxy executes.
    pub capabilities: Capabilities,
    /// IP versions of its pod.
    pub families: Families,
}

/// What inbound resources depend on. Pods of one Deployment have it in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// What outbound resources depend on, inbound ones do too.
    pub client: Client,
    /// The ports on which the pod takes requests, ascending.
    pub ports: Vec<InboundPort>,
    /// What it takes there, and on all other ports.
    pub mutual_tls: MutualTls,
}

/// A port on which a pod takes requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InboundPort {
    /// Port of the pod.
    pub target: u16,
    /// Port of the service.
    pub number: u16,
    /// What it speaks.
    pub protocol: Protocol,
    /// The service.
    pub service: ServiceRef,
}

impl InboundPort {
    pub(super) fn new(target: u16, service: &Service, port: &ServicePort) -> Self {
        Self {
            target,
            number: port.number,
            protocol: port.protocol,
            service: cluster::service_ref(service),
        }
    }
}

/// A resource of any type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the type of its name")]
pub enum Resource {
    Cluster(Box<Cluster>),
    Listener(Box<Listener>),
    Route(Box<RouteConfiguration>),
    Endpoints(Box<ClusterLoadAssignment>),
    NameTable(Box<NameTable>),
}

impl Key {
    /// Of all that make up a proxy's clusters, in order.
    pub fn clusters(world: &World, proxy: &Proxy) -> Vec<Self> {
        vec![
            Self::OutboundClusters(proxy.client(world)),
            Self::InboundClusters(proxy.server(world)),
        ]
    }

    /// Of all that make up a proxy's listeners, in order.
    pub fn listeners(world: &World, proxy: &Proxy) -> Vec<Self> {
        let client = proxy.client(world);
        vec![
            Self::OutboundListeners(client),
            Self::HeadlessListeners {
                client,
                own: proxy.headless_addresses(world),
            },
            Self::InboundListener(proxy.server(world)),
        ]
    }

    /// Of a route configuration.
    pub fn route(world: &World, proxy: &Proxy, name: &RouteName) -> Self {
        let namespace = proxy.id.namespace.as_str();
        Self::Route {
            namespace: route::knows_short_names(world, name, namespace).then(|| namespace.into()),
            name: name.clone(),
        }
    }

    /// Of the endpoints of a cluster.
    pub fn endpoints(world: &World, proxy: &Proxy, name: &ClusterName) -> Self {
        let service = name
            .parts()
            .and_then(|parts| world.services().get(parts.host));
        let node = service
            .filter(|s| s.node_local)
            .and_then(|_| proxy.workload(world)?.node.clone());
        Self::Endpoints {
            cluster: name.clone(),
            families: proxy.client(world).families,
            node,
        }
    }

    /// Of the names that a proxy answers.
    pub fn name_table(world: &World, proxy: &Proxy) -> Self {
        Self::NameTable {
            families: proxy.client(world).families,
        }
    }

    /// The host of the service that this is the endpoints of: what [`crate::snapshot::Change::endpoints`] lists.
    pub fn endpoints_of(&self) -> Option<&str> {
        match self {
            Self::Endpoints { cluster, .. } => cluster.parts().map(|parts| parts.host),
            _ => None,
        }
    }

    /// The resources; none if there is nothing of that name.
    pub fn build(&self, world: &World) -> Vec<Resource> {
        match self {
            Self::OutboundClusters(client) => collect(cluster::outbound(world, client)),
            Self::InboundClusters(server) => collect(cluster::inbound(world, server)),
            Self::OutboundListeners(client) => collect(outbound::listeners(world, client)),
            Self::HeadlessListeners { client, own } => {
                collect(outbound::headless(world, client, own))
            }
            Self::InboundListener(server) => collect([inbound::listener(world, server)]),
            Self::Route { name, namespace } => {
                collect(route::configuration(world, name, namespace.as_deref()))
            }
            Self::Endpoints {
                cluster,
                families,
                node,
            } => collect(endpoint::load_assignment(
                world,
                cluster,
                *families,
                node.as_deref(),
            )),
            Self::NameTable { families } => collect([names::table(world, *families)]),
        }
    }
}

fn collect<T: Into<Resource>>(built: impl IntoIterator<Item = T>) -> Vec<Resource> {
    built.into_iter().map(Into::into).collect()
}

macro_rules! resource {
    ($variant:ident, $type:ty, $into:ident) => {
        impl From<$type> for Resource {
            fn from(resource: $type) -> Self {
                Self::$variant(Box::new(resource))
            }
        }

        impl Resource {
            /// As that type, if it is one.
            pub fn $into(self) -> Option<$type> {
                match self {
                    Self::$variant(resource) => Some(*resource),
                    _ => None,
                }
            }
        }
    };
}
resource!(Cluster, Cluster, into_cluster);
resource!(Listener, Listener, into_listener);
resource!(Route, RouteConfiguration, into_route);
resource!(Endpoints, ClusterLoadAssignment, into_endpoints);
resource!(NameTable, NameTable, into_name_table);
