//! Peer metadata by HTTP header, `istio.metadata_exchange` on HTTP.
//!
//! Istio lists ways to find out about a peer, the headers first, its address second. Addresses are looked up by whoever
//! keeps the workloads, whether or not the filter says so: that way is written for Istio's proxies and read past.

use crate::{
    decode::{At, Extension, Fields, Written},
    pb::{
        google::protobuf::Any,
        istio::peer_metadata::{
            Config,
            config::{
                DiscoveryMethod, PropagationMethod, discovery_method::MethodSpecifier as Discovery,
                propagation_method::MethodSpecifier as Propagation,
            },
        },
        pack_any,
        udpa::r#type::v1::TypedStruct,
    },
    sorted,
};
use mesh_model::http::PeerMetadata;
use prost::Name;
use prost_types::{Struct, Value};
use std::mem::take;

const HEADERS: &str = "istio_headers";
const ADDRESS: &str = "workload_discovery";
const BAGGAGE: &str = "baggage";

pub(crate) fn encode(peer: PeerMetadata) -> Any {
    let discovery: &[&str] = &[HEADERS, ADDRESS];
    let lists = [
        ("downstream_discovery", peer.downstream_discovery, discovery),
        (
            "downstream_propagation",
            peer.downstream_propagation,
            &[HEADERS],
        ),
        ("upstream_discovery", peer.upstream_discovery, discovery),
        (
            "upstream_propagation",
            peer.upstream_propagation,
            &[HEADERS],
        ),
    ];
    let set = lists.into_iter().filter(|(_, set, _)| *set);
    pack_any(TypedStruct {
        type_url: Config::type_url(),
        value: Some(sorted::object(
            set.map(|(name, _, ways)| (name, encode_ways(ways))),
        )),
    })
}

fn encode_ways(ways: &[&str]) -> Value {
    let way =
        |name: &&str| sorted::nested(sorted::object([(*name, sorted::nested(Struct::default()))]));
    sorted::list(ways.iter().map(way))
}

pub(crate) fn decode(config: Extension, at: &At<'_>) -> Option<PeerMetadata> {
    match config.written(at)? {
        Written::Fields(fields) => decode_fields(fields, at),
        Written::Message(wire) => decode_message(wire, at),
    }
}

fn decode_fields(mut fields: Fields, at: &At<'_>) -> Option<PeerMetadata> {
    let mut by_headers = |name| {
        let ways = fields.messages(name, at, decode_way)?;
        Some(ways.contains(&true))
    };
    let (downstream_discovery, downstream_propagation, upstream_discovery, upstream_propagation) = (
        by_headers("downstream_discovery"),
        by_headers("downstream_propagation"),
        by_headers("upstream_discovery"),
        by_headers("upstream_propagation"),
    );
    fields.finish(&Config::full_name(), at);
    Some(PeerMetadata {
        downstream_discovery: downstream_discovery?,
        downstream_propagation: downstream_propagation?,
        upstream_discovery: upstream_discovery?,
        upstream_propagation: upstream_propagation?,
    })
}

/// Whether the way is that by headers.
fn decode_way(mut way: Fields, at: &At<'_>) -> Option<bool> {
    let [headers, address, baggage] = [HEADERS, ADDRESS, BAGGAGE].map(|name| way.message(name, at));
    way.finish("io.istio.http.peer_metadata.Config.DiscoveryMethod", at);
    if let Some(empty) = address? {
        empty.finish(
            "io.istio.http.peer_metadata.Config.WorkloadDiscovery",
            &at.field(ADDRESS),
        );
    }
    if baggage?.is_some() {
        at.left(
            "io.istio.http.peer_metadata.Config.DiscoveryMethod",
            BAGGAGE,
        );
    }
    let headers = headers?;
    let by_headers = headers.is_some();
    if let Some(options) = headers {
        options.finish(
            "io.istio.http.peer_metadata.Config.IstioHeaders",
            &at.field(HEADERS),
        );
    }
    Some(by_headers)
}

fn decode_message(mut wire: Config, at: &At<'_>) -> Option<PeerMetadata> {
    let discovery = |name, ways: Vec<DiscoveryMethod>| {
        let ways = at.list(name, ways, decode_discovery)?;
        Some(ways.contains(&true))
    };
    let downstream_discovery =
        discovery("downstream_discovery", take(&mut wire.downstream_discovery));
    let upstream_discovery = discovery("upstream_discovery", take(&mut wire.upstream_discovery));
    let propagation = |name, ways: Vec<PropagationMethod>| {
        let ways = at.list(name, ways, decode_propagation)?;
        Some(!ways.is_empty())
    };
    let downstream_propagation = propagation(
        "downstream_propagation",
        take(&mut wire.downstream_propagation),
    );
    let upstream_propagation =
        propagation("upstream_propagation", take(&mut wire.upstream_propagation));
    at.finish(wire);
    Some(PeerMetadata {
        downstream_discovery: downstream_discovery?,
        downstream_propagation: downstream_propagation?,
        upstream_discovery: upstream_discovery?,
        upstream_propagation: upstream_propagation?,
    })
}

fn decode_discovery(wire: DiscoveryMethod, at: &At<'_>) -> Option<bool> {
    match wire.method_specifier {
        Some(Discovery::IstioHeaders(options)) => {
            at.field(HEADERS).finish(options);
            Some(true)
        }
        Some(Discovery::WorkloadDiscovery(_)) => Some(false),
        Some(Discovery::Baggage(_)) => {
            at.left(
                "io.istio.http.peer_metadata.Config.DiscoveryMethod",
                BAGGAGE,
            );
            Some(false)
        }
        None => at.refuse("must be set"),
    }
}

fn decode_propagation(wire: PropagationMethod, at: &At<'_>) -> Option<()> {
    match wire.method_specifier {
        Some(Propagation::IstioHeaders(options)) => {
            at.field(HEADERS).finish(options);
            Some(())
        }
        None => at.refuse("must be set"),
    }
}
