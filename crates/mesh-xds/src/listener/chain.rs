//! Filter chains.

use super::matching;
use crate::{
    decode::{self, At, wire_duration},
    filter,
    pb::envoy::config::listener::v3::{FilterChain as Wire, FilterChainMatch as WireMatch},
    tls,
};
use mesh_model::listener::{FilterChain, FilterChainMatch};
use std::mem::take;

pub(super) fn encode(chain: &FilterChain) -> Wire {
    Wire {
        name: chain.name.clone(),
        filter_chain_match: matching::encode(&chain.matches),
        filters: chain.filters.iter().map(filter::encode).collect(),
        transport_socket: chain.tls.as_ref().map(tls::encode_downstream),
        transport_socket_connect_timeout: chain.transport_connect_timeout.map(wire_duration),
        ..Default::default()
    }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<FilterChain> {
    let name = take(&mut wire.name);
    let matches = wire.filter_chain_match.take();
    let matches = at.optional("filter_chain_match", matches, |w: WireMatch, at| {
        matching::decode(w, at)
    });
    let tls = at.optional(
        "transport_socket",
        wire.transport_socket.take(),
        tls::decode_downstream,
    );
    let timeout = wire.transport_socket_connect_timeout.take();
    let timeout = at.optional(
        "transport_socket_connect_timeout",
        timeout,
        decode::duration,
    );
    let filters = filter::decode_chain(take(&mut wire.filters), at);
    at.finish(wire);
    Some(FilterChain {
        name,
        matches: matches?.unwrap_or_else(FilterChainMatch::default),
        tls: tls?.flatten(),
        transport_connect_timeout: timeout?,
        filters: filters?,
    })
}
