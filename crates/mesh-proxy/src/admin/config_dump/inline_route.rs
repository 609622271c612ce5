//! Route tables that stand inside a listener, one for each connection manager that has its own.
//!
//! Found in the listener's bytes without decoding the rest, so that they are printed as they came.

use bytes::Bytes;
use prost::Message;

const MANAGER: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

// The path from a listener down to its route tables. Submessages stay bytes.

#[derive(Clone, PartialEq, prost::Message)]
struct Listener {
    #[prost(bytes = "bytes", repeated, tag = "3")]
    filter_chains: Vec<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "25")]
    default_filter_chain: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FilterChain {
    #[prost(bytes = "bytes", repeated, tag = "3")]
    filters: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Filter {
    #[prost(message, optional, tag = "4")]
    typed_config: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Manager {
    #[prost(bytes = "bytes", optional, tag = "4")]
    route_config: Option<Bytes>,
}

/// The route tables inside a listener, in the order of its chains.
pub(super) fn inside(listener: &Bytes) -> Vec<Bytes> {
    let Ok(listener) = Listener::decode(listener.clone()) else {
        return Vec::new();
    };
    let chains = listener
        .filter_chains
        .into_iter()
        .chain(listener.default_filter_chain);
    let chains = chains.flat_map(FilterChain::decode);
    let filters = chains
        .flat_map(|chain| chain.filters)
        .flat_map(Filter::decode);
    filters.filter_map(route_table).collect()
}

fn route_table(filter: Filter) -> Option<Bytes> {
    let config = filter.typed_config?;
    if config.type_url.rsplit('/').next() != Some(MANAGER) {
        return None;
    }
    Manager::decode(config.value).ok()?.route_config
}
