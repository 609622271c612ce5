//! Against what the article prints.

use super::*;
use mesh_model::{
    filter::NetworkFilter, http::RouteSource, listener::FilterChain, name::VIRTUAL_INBOUND,
};

/// The documents of one of the article's blocks.
fn printed(block: &str) -> Vec<Json> {
    serde_saphyr::from_str(block).expect("YAML")
}

#[test]
fn the_cluster_of_the_client() {
    let clusters = clusters(&world(ARTICLE), &proxy(TEST, EVERYTHING));
    let ours: Vec<_> = clusters
        .iter()
        .filter(|c| c.name.as_str().contains("nginx"))
        .map(json)
        .collect();
    assert_eq!(
        ours,
        printed(include_str!("../../../testdata/article/cluster.yaml"))
    );
}

#[test]
fn the_route_of_the_client() {
    let name = "nginx.test.svc.cluster.local:80".into();
    let route = route(&world(ARTICLE), &proxy(TEST, EVERYTHING), &name).expect("a route");
    assert_eq!(
        [json(&route)],
        *printed(include_str!("../../../testdata/article/route.yaml"))
    );
}

#[test]
fn the_routes_of_the_server() {
    let inbound = listener(&world(ARTICLE), &proxy(NGINX, EVERYTHING), VIRTUAL_INBOUND);
    let managers = inbound
        .chains()
        .flat_map(|chain| &chain.filters)
        .filter_map(|filter| match filter {
            NetworkFilter::HttpConnectionManager(manager) => Some(&manager.routes),
            _ => None,
        });
    let routes = managers.filter_map(|routes| match routes {
        RouteSource::Inline(route) if route.name.as_str() == "inbound|80||" => Some(json(&**route)),
        _ => None,
    });
    let want = printed(include_str!("../../../testdata/article/inbound-route.yaml"));
    assert_eq!(routes.collect::<Vec<_>>(), want);
}

/// The article's tables of listeners, without their layout and in our order.
#[test]
fn the_chains_of_the_listeners() {
    let world = world(ARTICLE);
    let (client, server) = (proxy(TEST, EVERYTHING), proxy(NGINX, EVERYTHING));
    let rows = |proxy, name| {
        listener(&world, proxy, name)
            .chains()
            .map(row)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        rows(&client, "virtualOutbound"),
        ["Addr: *:15001 BlackHoleCluster", "ALL PassthroughCluster"]
    );
    assert_eq!(
        rows(&client, "10.102.168.134_80"),
        [
            "Trans: raw_buffer; App: http/1.1,h2c Route: nginx.test.svc.cluster.local:80",
            "ALL outbound|80||nginx.test.svc.cluster.local",
        ]
    );
    assert_eq!(
        rows(&server, "0.0.0.0_80"),
        [
            "Trans: raw_buffer; App: http/1.1,h2c Route: 80",
            "ALL PassthroughCluster"
        ]
    );
    assert_eq!(
        rows(&server, "virtualInbound"),
        [
            "Addr: *:15006 BlackHoleCluster",
            "Trans: tls; App: istio-http/1.0,istio-http/1.1,istio-h2; Addr: 0.0.0.0/0 InboundPassthroughClusterIpv4",
            "Trans: raw_buffer; App: http/1.1,h2c; Addr: 0.0.0.0/0 InboundPassthroughClusterIpv4",
            "Trans: tls; App: istio-peer-exchange,istio; Addr: 0.0.0.0/0 InboundPassthroughClusterIpv4",
            "Trans: raw_buffer; Addr: 0.0.0.0/0 InboundPassthroughClusterIpv4",
            "Trans: tls; Addr: 0.0.0.0/0 InboundPassthroughClusterIpv4",
            "Trans: tls; App: istio-http/1.0,istio-http/1.1,istio-h2; Addr: *:80 inbound|80||",
            "Trans: raw_buffer; App: http/1.1,h2c; Addr: *:80 inbound|80||",
            "Trans: tls; App: istio-peer-exchange,istio; Addr: *:80 inbound|80||",
            "Trans: raw_buffer; Addr: *:80 inbound|80||",
            "Trans: tls; Addr: *:80 inbound|80||",
        ]
    );
}

#[test]
fn the_endpoint_of_the_client() {
    let name = "outbound|80||nginx.test.svc.cluster.local".into();
    let endpoints = endpoints(&world(ARTICLE), &proxy(TEST, EVERYTHING), &name).expect("a cluster");
    let want = serde_json::json!({
        "clusterName": "outbound|80||nginx.test.svc.cluster.local",
        "endpoints": [{
            "locality": {},
            "lbEndpoints": [{
                "endpoint": {"address": {"socketAddress": {"address": "10.244.0.73", "portValue": 80}}},
                "healthStatus": "HEALTHY",
                "metadata": {"filterMetadata": {
                    "envoy.transport_socket_match": {"tlsMode": "istio"},
                    "istio": {"workload": "nginx;test;nginx;latest;Kubernetes"},
                }},
                "loadBalancingWeight": 1,
            }],
            "loadBalancingWeight": 1,
        }],
    });
    assert_eq!(json(&endpoints), want);
}

/// A chain as the article's tables show it, but for the names that they give to some destinations.
fn row(chain: &FilterChain) -> String {
    let matches = &chain.matches;
    let transport = matches
        .transport_protocol
        .map(|t| format!("Trans: {}", t.as_str()));
    let protocols = matches.application_protocols.join(",");
    let protocols = (!protocols.is_empty()).then(|| format!("App: {protocols}"));
    let port = matches
        .destination_port
        .map(|port| format!("Addr: *:{port}"));
    let prefix = matches
        .prefix_ranges
        .first()
        .map(|prefix| format!("Addr: {prefix}"));
    let parts: Vec<_> = [transport, protocols, port, prefix]
        .into_iter()
        .flatten()
        .collect();
    let matches = if parts.is_empty() {
        "ALL".into()
    } else {
        parts.join("; ")
    };
    format!("{matches} {}", destination(chain))
}
