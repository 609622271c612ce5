//! Which pages of other origins may ask.

use crate::{
    decode::{At, Wrapped},
    matcher,
    pb::{
        envoy::extensions::filters::http::cors::v3::CorsPolicy as Wire, google::protobuf::BoolValue,
    },
};
use mesh_model::http::CorsPolicy;
use std::mem::take;

pub(super) fn encode(policy: &CorsPolicy) -> Wire {
    Wire {
        allow_origin_string_match: policy.allow_origins.iter().map(matcher::encode).collect(),
        allow_methods: policy.allow_methods.clone(),
        allow_headers: policy.allow_headers.clone(),
        expose_headers: policy.expose_headers.clone(),
        max_age: policy.max_age.clone(),
        allow_credentials: policy.allow_credentials.map(BoolValue::wrap),
        filter_enabled: policy.enabled.map(matcher::encode_fraction),
        shadow_enabled: policy.shadow.map(matcher::encode_fraction),
        allow_private_network_access: policy.allow_private_network.map(BoolValue::wrap),
        forward_not_matching_preflights: policy
            .forward_not_matching_preflights
            .map(BoolValue::wrap),
    }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<CorsPolicy> {
    let origins = take(&mut wire.allow_origin_string_match);
    let origins = at.list("allow_origin_string_match", origins, matcher::decode);
    let methods = take(&mut wire.allow_methods);
    let methods = at.field("allow_methods").header_value(methods);
    let headers = take(&mut wire.allow_headers);
    let headers = at.field("allow_headers").header_value(headers);
    let expose = take(&mut wire.expose_headers);
    let expose = at.field("expose_headers").header_value(expose);
    let max_age = at.field("max_age").header_value(take(&mut wire.max_age));
    let enabled = wire.filter_enabled.take();
    let enabled = at.optional("filter_enabled", enabled, matcher::decode_fraction);
    let shadow = wire.shadow_enabled.take();
    let shadow = at.optional("shadow_enabled", shadow, matcher::decode_fraction);
    let credentials = wire.allow_credentials.take();
    let private = wire.allow_private_network_access.take();
    let forward = wire.forward_not_matching_preflights.take();
    at.finish(wire);
    Some(CorsPolicy {
        allow_origins: origins?,
        allow_methods: methods?,
        allow_headers: headers?,
        expose_headers: expose?,
        max_age: max_age?,
        allow_credentials: credentials.map(Wrapped::inner),
        enabled: enabled?,
        shadow: shadow?,
        allow_private_network: private.map(Wrapped::inner),
        forward_not_matching_preflights: forward.map(Wrapped::inner),
    })
}
