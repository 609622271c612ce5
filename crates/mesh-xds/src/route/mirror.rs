//! Copies of requests, for a cluster that answers nobody.

use super::rewrite;
use crate::{
    decode::At, matcher, pb::envoy::config::route::v3::route_action::RequestMirrorPolicy as Wire,
};
use mesh_model::route::Mirror;
use std::mem::take;

pub(super) fn encode(mirror: &Mirror) -> Wire {
    Wire {
        cluster: mirror.cluster.to_string(),
        runtime_fraction: mirror.fraction.map(matcher::encode_fraction),
        disable_shadow_host_suffix_append: !mirror.append_shadow_suffix,
        host_rewrite_literal: mirror.host.clone().unwrap_or_default(),
        ..Default::default()
    }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<Mirror> {
    let cluster = match wire.cluster_header.is_empty() {
        true => at.text("cluster", take(&mut wire.cluster)),
        // Refused below.
        false => Some(take(&mut wire.cluster)),
    };
    let fraction = wire.runtime_fraction.take();
    let fraction = at.optional("runtime_fraction", fraction, matcher::decode_fraction);
    let append_shadow_suffix = !take(&mut wire.disable_shadow_host_suffix_append);
    let host = Some(take(&mut wire.host_rewrite_literal)).filter(|host| !host.is_empty());
    let host = at.optional("host_rewrite_literal", host, rewrite::decode_host);
    at.finish(wire);
    Some(Mirror {
        cluster: cluster?.into(),
        fraction: fraction?,
        append_shadow_suffix,
        host: host?,
    })
}
