//! Listeners for what the application sends.
//!
//! They bind no sockets: `virtualOutbound` hands them connections by original destination. All HTTP services of a port
//! share one, which goes by host name; other services have one at each of their addresses.

use super::{
    access_log, cluster, filters,
    key::Client,
    listener::{empty, speaking, unknown, virtual_outbound},
    tls,
};
use crate::snapshot::{Service, ServicePort, Traffic, World};
use mesh_model::{
    RouteName,
    listener::{FilterChain, Listener, ListenerFilter, ListenerFilterKind, TransportProtocol},
    name::Direction,
    port,
};
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// How long TLS towards the proxy may take to be established.
const TRANSPORT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Ports that a listener of the proxy's own stands on, at any address.
pub(super) const TAKEN: [u16; 4] = [
    port::OUTBOUND,
    port::INBOUND,
    port::PROMETHEUS,
    port::HEALTH,
];

/// Those of all services, oldest first, then the one that takes everything. Where two services claim an address, the
/// older has it.
pub(super) fn listeners(world: &World, client: &Client) -> Vec<Listener> {
    let mut taken = HashSet::new();
    let mut listeners = Vec::new();
    for (service, port) in world.services().ports() {
        let wanted = match port.protocol.traffic() {
            Traffic::Http if TAKEN.contains(&port.number) => Vec::new(),
            Traffic::Http => {
                let (address, other) = client.families.any(port.number);
                [address].into_iter().chain(other).collect()
            }
            Traffic::Tcp | Traffic::Auto => own_addresses(client, service, port),
        };
        let addresses: Vec<_> = wanted
            .into_iter()
            .filter(|address| taken.insert(*address))
            .collect();
        if let Some((address, others)) = addresses.split_first() {
            let listener = listener(world, client, service, port, *address);
            listeners.push(Listener {
                additional_addresses: others.to_vec(),
                ..listener
            });
        }
    }
    listeners.push(virtual_outbound(world, client));
    listeners
}

/// Those of the pods of headless services, which clients connect to by the pods' own addresses. A pod reaches itself
/// without passing a listener, so those at `own` addresses are left out.
pub(super) fn headless(world: &World, client: &Client, own: &[IpAddr]) -> Vec<Listener> {
    let mut taken: HashSet<SocketAddr> = HashSet::new();
    let mut listeners = Vec::new();
    let ports = world
        .services()
        .ports()
        .filter(|(s, p)| s.is_headless() && p.protocol.traffic() != Traffic::Http);
    for (service, port) in ports {
        for endpoint in world.endpoints(&service.host).iter() {
            let address = SocketAddr::new(endpoint.address, port.number);
            let wanted = endpoint.port(&port.name).is_some()
                && !endpoint.terminating
                && client.families.reach(endpoint.address)
                && !own.contains(&endpoint.address);
            if wanted && taken.insert(address) {
                listeners.push(listener(world, client, service, port, address));
            }
        }
    }
    listeners
}

/// A service that has not been given an address yet gets no listener: one at any address would take everybody's traffic.
fn own_addresses(client: &Client, service: &Service, port: &ServicePort) -> Vec<SocketAddr> {
    let reachable = service
        .reached_at()
        .filter(|address| client.families.reach(*address));
    reachable
        .map(|address| SocketAddr::new(address, port.number))
        .collect()
}

fn listener(
    world: &World,
    client: &Client,
    service: &Service,
    port: &ServicePort,
    address: SocketAddr,
) -> Listener {
    let listener = empty(world, Direction::Outbound, address, None);
    let bytes = || bytes(world, client, service, port);
    match port.protocol.traffic() {
        Traffic::Http => Listener {
            listener_filters: vec![http_inspector()],
            filter_chains: vec![requests(
                world,
                client,
                address,
                port.number.to_string().into(),
            )],
            default_filter_chain: Some(FilterChain {
                name: "PassthroughFilterChain".into(),
                ..unknown(world, client)
            }),
            ..listener
        },
        Traffic::Auto => Listener {
            listener_filters: vec![http_inspector()],
            filter_chains: vec![requests(
                world,
                client,
                address,
                format!("{}:{}", service.host, port.number).into(),
            )],
            default_filter_chain: Some(bytes()),
            ..listener
        },
        Traffic::Tcp => Listener {
            filter_chains: vec![bytes()],
            ..listener
        },
    }
}

/// TLS needs no inspector of its own here: its bytes are no HTTP, so it ends in the default chain.
fn http_inspector() -> ListenerFilter {
    ListenerFilter {
        kind: ListenerFilterKind::HttpInspector,
        disabled: None,
    }
}

fn requests(world: &World, client: &Client, address: SocketAddr, route: RouteName) -> FilterChain {
    let stat_prefix = format!("outbound_{}_{};", address.ip(), address.port());
    FilterChain {
        matches: speaking(TransportProtocol::RawBuffer, &tls::PLAIN_HTTP),
        transport_connect_timeout: Some(TRANSPORT_CONNECT_TIMEOUT),
        ..FilterChain::new(filters::outbound_http(world, client, stat_prefix, route))
    }
}

fn bytes(world: &World, client: &Client, service: &Service, port: &ServicePort) -> FilterChain {
    let cluster = cluster::outbound_bytes_name(client, service, port);
    FilterChain {
        transport_connect_timeout: Some(TRANSPORT_CONNECT_TIMEOUT),
        ..FilterChain::new(filters::outbound_tcp(
            client,
            cluster,
            access_log::all(world),
        ))
    }
}
