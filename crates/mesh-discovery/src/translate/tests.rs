//! What the article's proxies are sent.

use super::*;
use crate::{
    snapshot::ClusterIdentity,
    watch::{Delta, Stores, Use},
};
use mesh_model::node::Capabilities;

pub(super) const ALL: Capabilities = Capabilities {
    tcp_metadata_exchange: true,
    http_peer_metadata: true,
    alpn: true,
    stats: true,
};

/// The world of some manifests.
pub(super) fn world(manifests: &str) -> World {
    let mut stores = Stores::default();
    for parsed in mesh_api::manifest::parse(manifests).expect("valid manifests") {
        if let Ok(Use::Read { object, .. }) = Use::of(parsed.object) {
            stores.apply(Delta::Set(object));
        }
    }
    let touched = stores.take_touched();
    World::empty(ClusterIdentity::default())
        .next(&stores, &touched)
        .0
}

pub(super) fn proxy(id: &str, capabilities: Capabilities) -> Proxy {
    Proxy::new(id.parse().expect("a node id"), capabilities)
}

fn article() -> World {
    world(include_str!("../../testdata/article/objects.yaml"))
}

#[test]
fn clients_know_the_services() {
    let (world, client) = (article(), proxy(TEST, ALL));
    let clusters: Vec<_> = clusters(&world, &client)
        .into_iter()
        .map(|c| c.name.to_string())
        .collect();
    assert_eq!(
        clusters,
        [
            "outbound|443||kubernetes.default.svc.cluster.local",
            "outbound|80||a.default.svc.cluster.local",
            "outbound|80||nginx.test.svc.cluster.local",
            "BlackHoleCluster",
            "PassthroughCluster",
            "InboundPassthroughClusterIpv4",
        ]
    );
    let listeners: Vec<_> = listeners(&world, &client)
        .into_iter()
        .map(|l| l.name.to_string())
        .collect();
    assert_eq!(
        listeners,
        [
            "10.96.0.1_443",
            "0.0.0.0_80",
            "10.102.168.134_80",
            "virtualOutbound",
            "virtualInbound"
        ]
    );
    let routes: Vec<_> = route_names(&world, &client)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(routes, ["80", "nginx.test.svc.cluster.local:80"]);
}

const TEST: &str = "sidecar~10.244.0.74~test-f5b5d48b5-qdzft.test~test.svc.cluster.local";
