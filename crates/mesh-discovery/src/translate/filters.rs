//! Network and HTTP filters of listeners, as far as the proxy executes them.

use super::{access_log, key::Client, tls};
use crate::snapshot::World;
use mesh_model::{
    ClusterName, RouteName,
    access_log::AccessLog,
    filter::{MetadataExchange, NetworkFilter, Stats, TcpProxy},
    http::{
        Alpn, ClientCertDetails, Fault, ForwardClientCert, HttpConnectionManager, HttpFilter,
        NamedFilter, PeerMetadata, RouteSource, Tracing,
    },
    name::Direction,
    route::RouteConfiguration,
};
use std::{sync::Arc, time::Duration};

/// Requests of the application.
pub(super) fn outbound_http(
    world: &World,
    client: &Client,
    stat_prefix: String,
    route: RouteName,
) -> Vec<NetworkFilter> {
    vec![manager(HttpConnectionManager {
        filters: outbound_http_filters(client),
        ..plain_manager(world, stat_prefix, RouteSource::Rds(route))
    })]
}

/// Requests to the application.
pub(super) fn inbound_http(
    world: &World,
    client: &Client,
    stat_prefix: String,
    routes: Arc<RouteConfiguration>,
) -> Vec<NetworkFilter> {
    let http = manager(HttpConnectionManager {
        filters: inbound_http_filters(client),
        server_name: "istio-envoy".into(),
        forward_client_cert: ForwardClientCert::AppendForward(ClientCertDetails {
            subject: true,
            dns: true,
            uri: true,
        }),
        ..plain_manager(world, stat_prefix, RouteSource::Inline(routes))
    });
    metadata_exchange(client)
        .into_iter()
        .chain([http])
        .collect()
}

/// Bytes of the application.
pub(super) fn outbound_tcp(
    client: &Client,
    cluster: ClusterName,
    access_logs: Vec<AccessLog>,
) -> Vec<NetworkFilter> {
    let proxy = tcp_proxy(cluster, access_logs);
    tcp_stats(client, Direction::Outbound)
        .into_iter()
        .chain([proxy])
        .collect()
}

/// Bytes to the application.
pub(super) fn inbound_tcp(
    client: &Client,
    cluster: ClusterName,
    access_logs: Vec<AccessLog>,
) -> Vec<NetworkFilter> {
    let before = metadata_exchange(client)
        .into_iter()
        .chain(tcp_stats(client, Direction::Inbound));
    before.chain([tcp_proxy(cluster, access_logs)]).collect()
}

fn outbound_http_filters(client: &Client) -> Vec<NamedFilter> {
    let has = client.capabilities;
    let metadata = PeerMetadata {
        upstream_discovery: true,
        upstream_propagation: true,
        ..Default::default()
    };
    let alpn = Alpn {
        http10: tls::owned(&tls::HTTP10),
        http11: tls::owned(&tls::HTTP11),
        http2: tls::owned(&tls::HTTP2),
    };
    [
        has.http_peer_metadata
            .then_some(HttpFilter::PeerMetadata(metadata)),
        Some(HttpFilter::GrpcStats),
        has.alpn.then_some(HttpFilter::Alpn(alpn)),
        Some(HttpFilter::Fault(Fault::default())),
        Some(HttpFilter::Cors),
        has.stats
            .then_some(HttpFilter::Stats(stats(Direction::Outbound))),
        Some(HttpFilter::Router),
    ]
    .into_iter()
    .flatten()
    .map(NamedFilter::from)
    .collect()
}

fn inbound_http_filters(client: &Client) -> Vec<NamedFilter> {
    let has = client.capabilities;
    let metadata = PeerMetadata {
        downstream_discovery: true,
        downstream_propagation: true,
        ..Default::default()
    };
    [
        has.http_peer_metadata
            .then_some(HttpFilter::PeerMetadata(metadata)),
        Some(HttpFilter::GrpcStats),
        Some(HttpFilter::Fault(Fault::default())),
        Some(HttpFilter::Cors),
        has.stats
            .then_some(HttpFilter::Stats(stats(Direction::Inbound))),
        Some(HttpFilter::Router),
    ]
    .into_iter()
    .flatten()
    .map(NamedFilter::from)
    .collect()
}

fn plain_manager(world: &World, stat_prefix: String, routes: RouteSource) -> HttpConnectionManager {
    HttpConnectionManager {
        stream_idle_timeout: Duration::ZERO,
        upgrades: vec!["websocket".into()],
        normalize_path: true,
        // Beyond Istio's defaults: applications that still speak HTTP/1.0 or look at the case of header names just work.
        accept_http_10: true,
        preserve_header_case: true,
        // Istio's: all that clients ask for, one percent of the others.
        tracing: Some(Tracing {
            client: 10_000,
            random: 100,
            overall: 10_000,
        }),
        access_logs: access_log::all(world),
        ..HttpConnectionManager::new(stat_prefix, routes)
    }
}

fn manager(manager: HttpConnectionManager) -> NetworkFilter {
    NetworkFilter::HttpConnectionManager(Box::new(manager))
}

fn tcp_proxy(cluster: ClusterName, access_logs: Vec<AccessLog>) -> NetworkFilter {
    NetworkFilter::TcpProxy(TcpProxy {
        access_logs,
        ..TcpProxy::to(cluster)
    })
}

fn metadata_exchange(client: &Client) -> Option<NetworkFilter> {
    let settings = || MetadataExchange {
        protocol: tls::PEER_EXCHANGE.into(),
    };
    client
        .capabilities
        .tcp_metadata_exchange
        .then(|| NetworkFilter::MetadataExchange(settings()))
}

fn tcp_stats(client: &Client, direction: Direction) -> Option<NetworkFilter> {
    client
        .capabilities
        .stats
        .then(|| NetworkFilter::Stats(stats(direction)))
}

/// A server knows its own service; a client may have to go by what it asked for.
fn stats(direction: Direction) -> Stats {
    Stats {
        disable_host_header_fallback: direction == Direction::Inbound,
    }
}
