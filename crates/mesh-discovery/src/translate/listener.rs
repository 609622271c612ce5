//! What listeners of both directions have in common, and the one that takes all outbound traffic.

use super::{access_log, filters, key::Client, tls};
use crate::snapshot::World;
use mesh_api::mesh_config::OutboundTrafficMode;
use mesh_model::{
    ClusterName, ListenerName,
    listener::{FilterChain, FilterChainMatch, Listener, TransportProtocol},
    name::{BLACK_HOLE_CLUSTER, Direction, PASSTHROUGH_CLUSTER, VIRTUAL_OUTBOUND},
    port::OUTBOUND,
};
use std::{net::SocketAddr, time::Duration};

/// Takes what the application sends and hands it to the listener of its original destination; what has none goes where
/// the mesh's policy says.
pub(super) fn virtual_outbound(world: &World, client: &Client) -> Listener {
    // A connection to the port itself came from nobody's rules, and passing it through would bring it back here.
    let to_itself = FilterChain {
        name: "virtualOutbound-blackhole".into(),
        matches: FilterChainMatch {
            destination_port: Some(OUTBOUND),
            ..Default::default()
        },
        ..FilterChain::new(filters::outbound_tcp(
            client,
            BLACK_HOLE_CLUSTER.into(),
            Vec::new(),
        ))
    };
    let all_else = FilterChain {
        name: "virtualOutbound-catchall-tcp".into(),
        ..unknown(world, client)
    };
    let (address, other) = client.families.any(OUTBOUND);
    Listener {
        name: VIRTUAL_OUTBOUND.into(),
        bind_to_port: true,
        use_original_dst: true,
        filter_chains: vec![to_itself, all_else],
        // Nothing has to be found out here, so Envoy's own settings stand.
        listener_filters_timeout: Duration::from_secs(15),
        continue_on_listener_filters_timeout: false,
        ..empty(world, Direction::Outbound, address, other)
    }
}

/// A chain for destinations that the mesh does not know.
pub(super) fn unknown(world: &World, client: &Client) -> FilterChain {
    let cluster: ClusterName = match world.mesh().outbound_traffic_policy.mode {
        OutboundTrafficMode::AllowAny => PASSTHROUGH_CLUSTER.into(),
        OutboundTrafficMode::RegistryOnly => BLACK_HOLE_CLUSTER.into(),
    };
    FilterChain::new(filters::outbound_tcp(
        client,
        cluster,
        access_log::all(world),
    ))
}

/// A listener at `address`, and at `others` as well, without chains.
pub(super) fn empty(
    world: &World,
    direction: Direction,
    address: SocketAddr,
    others: impl IntoIterator<Item = SocketAddr>,
) -> Listener {
    Listener {
        additional_addresses: others.into_iter().collect(),
        bind_to_port: false,
        direction: Some(direction),
        listener_filters_timeout: world.mesh().protocol_detection_timeout,
        continue_on_listener_filters_timeout: true,
        access_logs: access_log::unmatched(world),
        ..Listener::new(name(address), address)
    }
}

/// Matches a connection by its transport and, if there are any, by its application protocols.
pub(super) fn speaking(transport: TransportProtocol, protocols: &[&str]) -> FilterChainMatch {
    FilterChainMatch {
        transport_protocol: Some(transport),
        application_protocols: tls::owned(protocols),
        ..Default::default()
    }
}

/// Istio's name for a listener: address and port.
fn name(address: SocketAddr) -> ListenerName {
    let port = address.port();
    match address {
        SocketAddr::V4(v4) => format!("{}_{port}", v4.ip()),
        SocketAddr::V6(v6) => format!("[{}]_{port}", v6.ip()),
    }
    .into()
}
