//! Istio's own filters: what is said in `istio.stats` and `istio.alpn`, and by `peer_metadata`.
//!
//! An Envoy without Istio's extensions refuses them; whoever puts them into the model has looked at what the node can
//! execute.

mod alpn; // `istio.alpn`
mod peer_metadata; // `istio.metadata_exchange` on HTTP

pub(crate) use alpn::{decode as decode_alpn, encode as encode_alpn};
pub(crate) use peer_metadata::{decode as decode_peer_metadata, encode as encode_peer_metadata};

use crate::{
    decode::{At, Extension, Written},
    pb::{google::protobuf::Any, istio::stats::PluginConfig, pack_any},
};
use mesh_model::filter::Stats;
use prost::Name;
use std::mem::take;

/// Name of the filter that counts.
pub(crate) const STATS: &str = "istio.stats";

pub(crate) fn encode_stats(stats: Stats) -> Any {
    pack_any(PluginConfig {
        disable_host_header_fallback: stats.disable_host_header_fallback,
        ..Default::default()
    })
}

pub(crate) fn decode_stats(config: Extension, at: &At<'_>) -> Option<Stats> {
    let disable_host_header_fallback = match config.written::<PluginConfig>(at)? {
        Written::Message(mut wire) => {
            let disable = take(&mut wire.disable_host_header_fallback);
            at.finish(wire);
            disable
        }
        Written::Fields(mut fields) => {
            let disable = fields.flag("disable_host_header_fallback", at);
            fields.finish(&PluginConfig::full_name(), at);
            disable?
        }
    };
    Some(Stats {
        disable_host_header_fallback,
    })
}

#[cfg(test)]
mod tests;
