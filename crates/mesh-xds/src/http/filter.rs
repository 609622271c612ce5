//! HTTP filters.

use super::fault;
use crate::{
    decode::{At, Extension, Wrapped},
    istio,
    pb::{
        envoy::extensions::filters::{
            http::{
                cors::v3::Cors,
                fault::v3::HttpFault,
                grpc_stats::v3::{
                    FilterConfig as GrpcStats, filter_config::PerMethodStatSpecifier,
                },
                jwt_authn::v3::JwtAuthentication,
                rbac::v3::Rbac,
                router::v3::Router,
            },
            network::http_connection_manager::v3::{HttpFilter as Wire, http_filter::ConfigType},
        },
        google::protobuf::{Any, BoolValue},
        istio::{alpn, peer_metadata, stats},
        pack_any,
    },
    policy::{jwt, rbac},
};
use mesh_model::http::{HttpFilter, NamedFilter};
use prost::Name;
use std::mem::take;

pub(super) fn encode(named: &NamedFilter) -> Wire {
    let config = match &named.filter {
        HttpFilter::PeerMetadata(peer) => istio::encode_peer_metadata(*peer),
        HttpFilter::GrpcStats => pack_any(grpc_stats()),
        HttpFilter::Alpn(alpn) => istio::encode_alpn(alpn),
        HttpFilter::Fault(fault) => pack_any(fault::encode(fault)),
        HttpFilter::Cors => pack_any(Cors {}),
        HttpFilter::Rbac(rbac) => rbac::encode(rbac),
        HttpFilter::Jwt(jwt) => jwt::encode(jwt),
        HttpFilter::Stats(stats) => istio::encode_stats(*stats),
        HttpFilter::Router => pack_any(Router::default()),
    };
    Wire {
        name: named.name.clone(),
        disabled: named.disabled,
        config_type: Some(ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

/// What Istio asks of gRPC statistics: the same for every proxy.
fn grpc_stats() -> GrpcStats {
    let all_methods = PerMethodStatSpecifier::StatsForAllMethods(BoolValue::wrap(false));
    GrpcStats {
        emit_filter_state: true,
        per_method_stat_specifier: Some(all_methods),
        ..Default::default()
    }
}

/// The filters of the connection manager at `at`: the router is the last, and only there.
pub(super) fn decode_chain(wire: Vec<Wire>, at: &At<'_>) -> Option<Vec<NamedFilter>> {
    let filters = at.list("http_filters", wire, decode)?;
    let ends = |named: &NamedFilter| named.filter == HttpFilter::Router;
    match filters.split_last() {
        Some((last, others)) if ends(last) && !last.disabled && !others.iter().any(ends) => {
            Some(filters)
        }
        _ => at
            .field("http_filters")
            .refuse("must end with the router, and hold no other"),
    }
}

fn decode(mut wire: Wire, at: &At<'_>) -> Option<NamedFilter> {
    let config = match wire.config_type.take() {
        Some(ConfigType::TypedConfig(config)) => Some(config),
        Some(ConfigType::ConfigDiscovery(_)) => {
            return at
                .field("config_discovery")
                .refuse("filters stand in the listener itself");
        }
        None => None,
    };
    // An optional filter may be left out by who does not know it. Here it is either known or refused.
    wire.is_optional = false;
    let name = at.text("name", take(&mut wire.name));
    let disabled = take(&mut wire.disabled);
    at.finish(wire);
    let filter = at.required("typed_config", config, decode_config);
    Some(NamedFilter {
        name: name?,
        disabled,
        filter: filter?,
    })
}

fn decode_config(config: Any, at: &At<'_>) -> Option<HttpFilter> {
    let config = Extension::open(config, at)?;
    let is = |full_name: String| config.type_name == full_name;
    if is(Router::full_name()) {
        at.finish(config.message::<Router>(at)?);
        Some(HttpFilter::Router)
    } else if is(peer_metadata::Config::full_name()) {
        istio::decode_peer_metadata(config, at).map(HttpFilter::PeerMetadata)
    } else if is(GrpcStats::full_name()) {
        decode_grpc_stats(config.message(at)?, at)
    } else if is(alpn::FilterConfig::full_name()) {
        istio::decode_alpn(config, at).map(HttpFilter::Alpn)
    } else if is(HttpFault::full_name()) {
        fault::decode(config.message(at)?, at).map(HttpFilter::Fault)
    } else if is(Rbac::full_name()) {
        rbac::decode(config.message(at)?, at).map(HttpFilter::Rbac)
    } else if is(JwtAuthentication::full_name()) {
        let jwt = jwt::decode(config.message(at)?, at)?;
        Some(HttpFilter::Jwt(Box::new(jwt)))
    } else if is(Cors::full_name()) {
        at.finish(config.message::<Cors>(at)?);
        Some(HttpFilter::Cors)
    } else if is(stats::PluginConfig::full_name()) {
        istio::decode_stats(config, at).map(HttpFilter::Stats)
    } else {
        config.unknown(at)
    }
}

fn decode_grpc_stats(mut wire: GrpcStats, at: &At<'_>) -> Option<HttpFilter> {
    let usual = grpc_stats();
    wire.emit_filter_state = false;
    if wire.per_method_stat_specifier == usual.per_method_stat_specifier {
        wire.per_method_stat_specifier = None;
    }
    at.finish(wire);
    Some(HttpFilter::GrpcStats)
}
