//! What routes change of filters: `typed_per_filter_config`, by the name of the filter.
//!
//! One arm for each type of configuration; a type that has none is refused, since what it says of a route may bear on
//! security.

use super::{cors, fault};
use crate::{
    decode::{At, Extension},
    pb::{
        envoy::{
            config::route::v3::FilterConfig,
            extensions::filters::http::{
                cors::v3::CorsPolicy, fault::v3::HttpFault, jwt_authn::v3::PerRouteConfig,
                rbac::v3::RbacPerRoute,
            },
        },
        google::protobuf::Any,
        pack_any,
    },
    policy::{jwt, rbac},
};
use mesh_model::http::{Override, OverrideConfig};
use prost::Name;
use std::collections::{BTreeMap, HashMap};

/// Name of the field, the same in each message that has it.
const FIELD: &str = "typed_per_filter_config";

/// In the order of the names.
pub(crate) fn encode(overrides: &[Override]) -> BTreeMap<String, Any> {
    let encoded = overrides
        .iter()
        .map(|o| (o.name.clone(), config(&o.config)));
    encoded.collect()
}

fn config(config: &OverrideConfig) -> Any {
    match config {
        OverrideConfig::Off => pack_any(FilterConfig {
            disabled: true,
            ..Default::default()
        }),
        OverrideConfig::On => pack_any(FilterConfig {
            config: Some(Any::default()),
            ..Default::default()
        }),
        OverrideConfig::Fault(fault) => pack_any(fault::encode(fault)),
        OverrideConfig::Rbac(rbac) => rbac::encode_override(rbac),
        OverrideConfig::Jwt(jwt) => pack_any(jwt::encode_override(jwt)),
        OverrideConfig::Cors(policy) => pack_any(cors::encode(policy)),
    }
}

/// In the order of the names.
pub(crate) fn decode(wire: HashMap<String, Any>, at: &At<'_>) -> Option<Vec<Override>> {
    let at = at.field(FIELD);
    let mut all = Some(Vec::new());
    for (name, any) in BTreeMap::from_iter(wire) {
        let config = decode_any(any, &at.key(&name));
        match (config, &mut all) {
            (Some(config), Some(all)) => all.push(Override { name, config }),
            (None, _) => all = None,
            (Some(_), None) => {}
        }
    }
    all
}

fn decode_any(any: Any, at: &At<'_>) -> Option<OverrideConfig> {
    let config = Extension::open(any, at)?;
    match config.type_name == FilterConfig::full_name() {
        true => decode_switch(config.message(at)?, at),
        false => decode_config(config, at),
    }
}

/// A filter that is on without a configuration keeps its own.
fn decode_switch(mut wire: FilterConfig, at: &At<'_>) -> Option<OverrideConfig> {
    // As in the chain: a filter is either known or refused.
    wire.is_optional = false;
    let config = wire.config.take().filter(|any| !any.type_url.is_empty());
    let disabled = std::mem::take(&mut wire.disabled);
    at.finish(wire);
    match config {
        _ if disabled => Some(OverrideConfig::Off),
        None => Some(OverrideConfig::On),
        Some(any) => {
            let at = at.field("config");
            decode_config(Extension::open(any, &at)?, &at)
        }
    }
}

fn decode_config(config: Extension, at: &At<'_>) -> Option<OverrideConfig> {
    if config.type_name == HttpFault::full_name() {
        fault::decode(config.message(at)?, at).map(OverrideConfig::Fault)
    } else if config.type_name == RbacPerRoute::full_name() {
        rbac::decode_override(config.message(at)?, at).map(OverrideConfig::Rbac)
    } else if config.type_name == PerRouteConfig::full_name() {
        jwt::decode_override(config.message(at)?, at).map(OverrideConfig::Jwt)
    } else if config.type_name == CorsPolicy::full_name() {
        let policy = cors::decode(config.message(at)?, at);
        policy.map(|policy| OverrideConfig::Cors(Box::new(policy)))
    } else {
        config.unknown(at)
    }
}
