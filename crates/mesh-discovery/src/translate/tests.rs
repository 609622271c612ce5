//! Translation of whole worlds: against the article, against what a real istiod served, and rule by rule.

mod article;
mod capabilities;
mod capture;
mod conflicts;
mod deltas;
mod endpoints;
mod golden;
mod inbound;
mod names;
mod outbound;
mod peers;
mod routes;

use super::*;
use crate::{
    snapshot::ClusterIdentity,
    watch::{Delta, Stores, Use},
};
use mesh_model::{
    listener::FilterChain,
    node::Capabilities,
    route::{RouteAction, Target, VirtualHost},
};
use mesh_xds::{
    json::{Pool, Style},
    resource,
};
use serde_json::Value as Json;
use std::sync::LazyLock;

const EVERYTHING: Capabilities = Capabilities {
    tcp_metadata_exchange: true,
    http_peer_metadata: true,
    alpn: true,
    stats: true,
};

const NOTHING: Capabilities = Capabilities {
    tcp_metadata_exchange: false,
    http_peer_metadata: false,
    alpn: false,
    stats: false,
};

/// The article's client and server.
const TEST: &str = "sidecar~10.244.0.74~test-f5b5d48b5-qdzft.test~test.svc.cluster.local";
const NGINX: &str = "sidecar~10.244.0.73~nginx-7c79c4bf97-7985c.test~test.svc.cluster.local";
const ARTICLE: &str = include_str!("../../testdata/article/objects.yaml");

/// The world of some manifests.
fn world(manifests: &str) -> World {
    let mut stores = Stores::default();
    for parsed in mesh_api::manifest::parse(manifests).expect("valid manifests") {
        if let Use::Read { object, .. } = Use::of(parsed.object).expect("valid settings") {
            stores.apply(Delta::Set(object));
        }
    }
    let touched = stores.take_touched();
    World::empty(ClusterIdentity::default())
        .next(&stores, &touched)
        .0
}

fn proxy(id: &str, capabilities: Capabilities) -> Proxy {
    Proxy::new(id.parse().expect("a node id"), capabilities)
}

/// Loaded once for all tests.
static POOL: LazyLock<Pool> = LazyLock::new(Pool::load);

/// A resource as istiod prints it.
fn json<T: resource::Resource>(resource: &T) -> Json {
    let name = T::TYPE_URL.rsplit('/').next().unwrap_or_default();
    POOL.print(name, &resource.encode(), Style::Istio)
        .expect("our own message")
}

/// The listener of that name.
fn listener(world: &World, proxy: &Proxy, name: &str) -> Listener {
    let found = listeners(world, proxy)
        .into_iter()
        .find(|l| l.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no listener {name}"))
}

fn listener_names(world: &World, proxy: &Proxy) -> Vec<String> {
    listeners(world, proxy)
        .iter()
        .map(|l| l.name.to_string())
        .collect()
}

/// The cluster of that name.
fn cluster(world: &World, proxy: &Proxy, name: &str) -> Cluster {
    let found = clusters(world, proxy)
        .into_iter()
        .find(|c| c.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no cluster {name}"))
}

fn cluster_names(world: &World, proxy: &Proxy) -> Vec<String> {
    clusters(world, proxy)
        .iter()
        .map(|c| c.name.to_string())
        .collect()
}

/// Where a chain leads: a cluster, or `Route: <name>`.
fn destination(chain: &FilterChain) -> String {
    match chain.filters.last() {
        Some(NetworkFilter::TcpProxy(proxy)) => proxy.cluster.to_string(),
        Some(NetworkFilter::HttpConnectionManager(manager)) => match &manager.routes {
            RouteSource::Rds(name) => format!("Route: {name}"),
            RouteSource::Inline(route) => forwarded_to(&route.virtual_hosts[0]),
        },
        _ => panic!("{} leads nowhere", chain.name),
    }
}

/// Where the first route of a virtual host leads.
fn forwarded_to(host: &VirtualHost) -> String {
    match &host.routes[0].action {
        RouteAction::Forward(forward) => match &forward.target {
            Target::Cluster(name) => name.to_string(),
            Target::Weighted(clusters) => format!("{clusters:?}"),
        },
        RouteAction::DirectResponse(response) => response.status.to_string(),
        RouteAction::Redirect(redirect) => redirect.status.code().to_string(),
    }
}
