//! From the world to xDS, for one proxy: pure and synchronous.
//!
//! Everything that a proxy is sent is made by [`Key::build`] from the world and a [`Key`], and a key holds all that is
//! read of the proxy. So two proxies with equal keys are sent the same bytes, and nothing can leak into a resource that
//! its key does not account for. [`clusters`] and its siblings put the pieces together for one proxy.

mod access_log;
mod cluster;
mod conflict;
mod domains;
mod endpoint;
mod family;
mod filters;
mod inbound;
mod key;
mod listener;
mod names;
mod outbound;
mod proxy;
mod route;
mod tls;

pub use conflict::{Claim, Conflict, conflicts};
pub use family::Families;
pub use key::{Client, InboundPort, Key, Resource, Server};
pub use proxy::Proxy;

use crate::snapshot::World;
use mesh_model::{
    ClusterName, RouteName,
    cluster::{Cluster, Discovery},
    endpoint::ClusterLoadAssignment,
    filter::NetworkFilter,
    http::RouteSource,
    listener::Listener,
    name_table::NameTable,
    route::RouteConfiguration,
};
use std::collections::BTreeSet;

/// All clusters of a proxy.
pub fn clusters(world: &World, proxy: &Proxy) -> Vec<Cluster> {
    let built = Key::clusters(world, proxy)
        .into_iter()
        .flat_map(|key| key.build(world));
    built.filter_map(Resource::into_cluster).collect()
}

/// All listeners of a proxy.
pub fn listeners(world: &World, proxy: &Proxy) -> Vec<Listener> {
    let built = Key::listeners(world, proxy)
        .into_iter()
        .flat_map(|key| key.build(world));
    built.filter_map(Resource::into_listener).collect()
}

/// A route configuration; `None` if there is none of that name.
pub fn route(world: &World, proxy: &Proxy, name: &RouteName) -> Option<RouteConfiguration> {
    let built = Key::route(world, proxy, name).build(world);
    built.into_iter().find_map(Resource::into_route)
}

/// The endpoints of a cluster; `None` if there is no such cluster, or it has no endpoints to discover.
pub fn endpoints(
    world: &World,
    proxy: &Proxy,
    name: &ClusterName,
) -> Option<ClusterLoadAssignment> {
    let built = Key::endpoints(world, proxy, name).build(world);
    built.into_iter().find_map(Resource::into_endpoints)
}

/// The names that a proxy answers to the application's DNS queries.
pub fn name_table(world: &World, proxy: &Proxy) -> NameTable {
    let built = Key::name_table(world, proxy).build(world);
    let table = built.into_iter().find_map(Resource::into_name_table);
    table.unwrap_or_default()
}

/// The route configurations that a proxy's listeners refer to.
pub fn route_names(world: &World, proxy: &Proxy) -> BTreeSet<RouteName> {
    let listeners = listeners(world, proxy);
    let filters = listeners
        .iter()
        .flat_map(Listener::chains)
        .flat_map(|chain| &chain.filters);
    filters
        .filter_map(|filter| match filter {
            NetworkFilter::HttpConnectionManager(manager) => match &manager.routes {
                RouteSource::Rds(name) => Some(name.clone()),
                RouteSource::Inline(_) => None,
            },
            _ => None,
        })
        .collect()
}

/// The endpoint sets that a proxy's clusters refer to.
pub fn endpoint_names(world: &World, proxy: &Proxy) -> BTreeSet<ClusterName> {
    let names = clusters(world, proxy)
        .into_iter()
        .filter_map(|cluster| match cluster.discovery {
            Discovery::Eds(name) => Some(name),
            Discovery::Static(_) | Discovery::Dns(_) | Discovery::OriginalDst => None,
        });
    names.collect()
}

#[cfg(test)]
mod tests;
