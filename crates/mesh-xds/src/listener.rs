//! Listeners ↔ Envoy `Listener`.

mod chain; // filter chains
mod filter; // what looks at a connection first
mod matching; // which connections a chain takes

use crate::{
    access_log, address,
    decode::{self, At, Wrapped, wire_duration},
    pb::{
        envoy::config::{
            core::v3::TrafficDirection,
            listener::v3::{self as wire, AdditionalAddress},
        },
        google::protobuf::BoolValue,
    },
    resource::{Decoded, Invalid, Resource, ResourceType},
};
use bytes::Bytes;
use mesh_model::{
    listener::{DEFAULT_LISTENER_FILTERS_TIMEOUT, Listener},
    name::Direction,
};
use prost::Message;
use std::{mem::take, net::SocketAddr};

impl Resource for Listener {
    const KIND: ResourceType = ResourceType::Listener;

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn encode(&self) -> Bytes {
        encode_listener(self).encode_to_vec().into()
    }

    fn decode(bytes: &[u8]) -> Result<Decoded<Self>, Invalid> {
        decode::decode(bytes, decode_listener)
    }
}

/// `bind_to_port` and `use_original_dst` are written only where they differ from Envoy's defaults, as Istio does.
fn encode_listener(listener: &Listener) -> wire::Listener {
    let default_chain = listener.default_filter_chain.as_ref();
    wire::Listener {
        name: listener.name.to_string(),
        address: Some(address::encode(listener.address)),
        additional_addresses: encode_additional(&listener.additional_addresses),
        bind_to_port: (!listener.bind_to_port).then(|| BoolValue::wrap(false)),
        use_original_dst: listener.use_original_dst.then(|| BoolValue::wrap(true)),
        traffic_direction: encode_direction(listener.direction).into(),
        listener_filters: listener
            .listener_filters
            .iter()
            .map(filter::encode)
            .collect(),
        listener_filters_timeout: Some(wire_duration(listener.listener_filters_timeout)),
        continue_on_listener_filters_timeout: listener.continue_on_listener_filters_timeout,
        filter_chains: listener.filter_chains.iter().map(chain::encode).collect(),
        default_filter_chain: default_chain.map(chain::encode),
        access_log: listener
            .access_logs
            .iter()
            .map(access_log::encode)
            .collect(),
        ..Default::default()
    }
}

fn encode_additional(addresses: &[SocketAddr]) -> Vec<AdditionalAddress> {
    let wrap = |address: &SocketAddr| AdditionalAddress {
        address: Some(address::encode(*address)),
        ..Default::default()
    };
    addresses.iter().map(wrap).collect()
}

fn encode_direction(direction: Option<Direction>) -> TrafficDirection {
    match direction {
        None => TrafficDirection::Unspecified,
        Some(Direction::Inbound) => TrafficDirection::Inbound,
        Some(Direction::Outbound) => TrafficDirection::Outbound,
    }
}

fn decode_listener(mut wire: wire::Listener, at: &At<'_>) -> Option<Listener> {
    let name = at.text("name", take(&mut wire.name));
    let address = at.required("address", wire.address.take(), address::listener);
    let additional = take(&mut wire.additional_addresses);
    let additional = at.list("additional_addresses", additional, decode_additional);
    let bind_to_port = wire.bind_to_port.take().is_none_or(Wrapped::inner);
    let use_original_dst = wire.use_original_dst.take().is_some_and(Wrapped::inner);
    let direction = decode_direction(take(&mut wire.traffic_direction), at);
    let filters = take(&mut wire.listener_filters);
    let listener_filters = at.list("listener_filters", filters, filter::decode);
    let timeout = wire.listener_filters_timeout.take();
    let timeout = at.optional("listener_filters_timeout", timeout, decode::duration);
    let continues = take(&mut wire.continue_on_listener_filters_timeout);
    let filter_chains = at.list(
        "filter_chains",
        take(&mut wire.filter_chains),
        chain::decode,
    );
    let default_chain = wire.default_filter_chain.take();
    let default_chain = at.optional("default_filter_chain", default_chain, chain::decode);
    let access_logs = at.list("access_log", take(&mut wire.access_log), access_log::decode);
    at.finish(wire);
    let (filter_chains, default_filter_chain) = (filter_chains?, default_chain?);
    if filter_chains.is_empty() && default_filter_chain.is_none() {
        return at.field("filter_chains").refuse("must be set");
    }
    Some(Listener {
        name: name?.into(),
        address: address?,
        additional_addresses: additional?,
        bind_to_port,
        use_original_dst,
        direction: direction?,
        listener_filters: listener_filters?,
        listener_filters_timeout: timeout?.unwrap_or(DEFAULT_LISTENER_FILTERS_TIMEOUT),
        continue_on_listener_filters_timeout: continues,
        filter_chains,
        default_filter_chain,
        access_logs: access_logs?,
    })
}

fn decode_additional(mut wire: AdditionalAddress, at: &At<'_>) -> Option<SocketAddr> {
    let address = at.required("address", wire.address.take(), address::listener);
    at.finish(wire);
    address
}

fn decode_direction(wire: i32, at: &At<'_>) -> Option<Option<Direction>> {
    let direction = decode::variant(wire, &at.field("traffic_direction"))?;
    Some(match direction {
        TrafficDirection::Unspecified => None,
        TrafficDirection::Inbound => Some(Direction::Inbound),
        TrafficDirection::Outbound => Some(Direction::Outbound),
    })
}

#[cfg(test)]
mod tests;
