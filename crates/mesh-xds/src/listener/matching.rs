//! Which connections a filter chain takes.

use crate::{
    address,
    decode::{self, At, Wrapped},
    pb::{envoy::config::listener::v3::FilterChainMatch as Wire, google::protobuf::UInt32Value},
};
use mesh_model::listener::{FilterChainMatch, TransportProtocol};
use std::mem::take;

/// A chain that takes everything is written without a match.
pub(super) fn encode(matches: &FilterChainMatch) -> Option<Wire> {
    let transport = matches
        .transport_protocol
        .map_or("", TransportProtocol::as_str);
    let port = matches.destination_port.map(u32::from);
    let wire = Wire {
        destination_port: port.map(UInt32Value::wrap),
        prefix_ranges: matches
            .prefix_ranges
            .iter()
            .map(address::encode_net)
            .collect(),
        server_names: matches.server_names.clone(),
        transport_protocol: transport.into(),
        application_protocols: matches.application_protocols.clone(),
        source_prefix_ranges: matches
            .source_prefix_ranges
            .iter()
            .map(address::encode_net)
            .collect(),
        source_ports: matches
            .source_ports
            .iter()
            .copied()
            .map(u32::from)
            .collect(),
        ..Default::default()
    };
    (wire != Wire::default()).then_some(wire)
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<FilterChainMatch> {
    let destination_port =
        at.optional("destination_port", wire.destination_port.take(), |w, at| {
            decode::port(w.value, at)
        });
    let prefixes = at.list(
        "prefix_ranges",
        take(&mut wire.prefix_ranges),
        address::decode_net,
    );
    let names = at.list(
        "server_names",
        take(&mut wire.server_names),
        decode_server_name,
    );
    let transport = take(&mut wire.transport_protocol);
    let transport = decode_transport(&transport, &at.field("transport_protocol"));
    let protocols = take(&mut wire.application_protocols);
    let sources = take(&mut wire.source_prefix_ranges);
    let sources = at.list("source_prefix_ranges", sources, address::decode_net);
    let source_ports = at.list("source_ports", take(&mut wire.source_ports), decode::port);
    at.finish(wire);
    Some(FilterChainMatch {
        destination_port: destination_port?,
        prefix_ranges: prefixes?,
        server_names: names?,
        transport_protocol: transport?,
        application_protocols: protocols,
        source_prefix_ranges: sources?,
        source_ports: source_ports?,
    })
}

/// Exact, or `*.` and what follows.
fn decode_server_name(wire: String, at: &At<'_>) -> Option<String> {
    let exact = wire.strip_prefix("*.").unwrap_or(&wire);
    match exact.is_empty() || exact.contains('*') {
        true => at.refuse(format!("{wire:?} is neither a name nor `*.` before one")),
        false => Some(wire),
    }
}

fn decode_transport(wire: &str, at: &At<'_>) -> Option<Option<TransportProtocol>> {
    let known = [TransportProtocol::RawBuffer, TransportProtocol::Tls];
    match known.into_iter().find(|t| t.as_str() == wire) {
        None if wire.is_empty() => Some(None),
        None => at.refuse(format!("{wire:?} is never found")),
        found => Some(found),
    }
}
