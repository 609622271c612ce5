//! Network filters ↔ Envoy's `Filter`, with Istio's.

mod tcp_proxy; // bytes to a cluster

use crate::{
    decode::{At, Extension},
    decoration, http, istio,
    pb::{
        envoy::{
            config::listener::v3::{Filter as Wire, filter::ConfigType},
            extensions::filters::network::{
                http_connection_manager::v3::HttpConnectionManager, rbac::v3::Rbac,
                tcp_proxy::v3::TcpProxy,
            },
        },
        google::protobuf::Any,
        istio::{metadata_exchange, stats::PluginConfig},
        pack_any,
    },
    policy::rbac,
};
use mesh_model::filter::NetworkFilter;
use prost::Name;

pub(crate) fn encode(filter: &NetworkFilter) -> Wire {
    let (name, config) = match filter {
        NetworkFilter::MetadataExchange(settings) => (
            decoration::METADATA_EXCHANGE,
            decoration::metadata_exchange(&settings.protocol),
        ),
        NetworkFilter::Stats(stats) => (istio::STATS, istio::encode_stats(*stats)),
        NetworkFilter::Rbac(rbac) => ("envoy.filters.network.rbac", rbac::encode_network(rbac)),
        NetworkFilter::HttpConnectionManager(manager) => (
            "envoy.filters.network.http_connection_manager",
            http::encode(manager),
        ),
        NetworkFilter::TcpProxy(proxy) => (
            "envoy.filters.network.tcp_proxy",
            pack_any(tcp_proxy::encode(proxy)),
        ),
    };
    Wire {
        name: name.into(),
        config_type: Some(ConfigType::TypedConfig(config)),
    }
}

/// The filters of the chain at `at`: its last takes the connection, and no other does.
pub(crate) fn decode_chain(wire: Vec<Wire>, at: &At<'_>) -> Option<Vec<NetworkFilter>> {
    let filters = at.list("filters", wire, decode)?;
    let ends = |filter: &NetworkFilter| match filter {
        NetworkFilter::HttpConnectionManager(_) | NetworkFilter::TcpProxy(_) => true,
        NetworkFilter::MetadataExchange(_) | NetworkFilter::Stats(_) | NetworkFilter::Rbac(_) => {
            false
        }
    };
    match filters.split_last() {
        Some((last, others)) if ends(last) && !others.iter().any(ends) => Some(filters),
        _ => at
            .field("filters")
            .refuse("must end with a connection manager or a TCP proxy, and hold no other"),
    }
}

fn decode(wire: Wire, at: &At<'_>) -> Option<NetworkFilter> {
    let config = match wire.config_type {
        Some(ConfigType::TypedConfig(config)) => Some(config),
        Some(ConfigType::ConfigDiscovery(_)) => {
            return at
                .field("config_discovery")
                .refuse("filters stand in the listener itself");
        }
        None => None,
    };
    at.required("typed_config", config, decode_config)
}

fn decode_config(config: Any, at: &At<'_>) -> Option<NetworkFilter> {
    let config = Extension::open(config, at)?;
    let is = |full_name: String| config.type_name == full_name;
    if is(HttpConnectionManager::full_name()) {
        let manager = http::decode(config.message(at)?, at)?;
        Some(NetworkFilter::HttpConnectionManager(Box::new(manager)))
    } else if is(TcpProxy::full_name()) {
        tcp_proxy::decode(config.message(at)?, at).map(NetworkFilter::TcpProxy)
    } else if is(metadata_exchange::MetadataExchange::full_name()) {
        decoration::decode_metadata_exchange(config, at).map(NetworkFilter::MetadataExchange)
    } else if is(PluginConfig::full_name()) {
        istio::decode_stats(config, at).map(NetworkFilter::Stats)
    } else if is(Rbac::full_name()) {
        rbac::decode_network(config.message(at)?, at).map(NetworkFilter::Rbac)
    } else {
        config.unknown(at)
    }
}
