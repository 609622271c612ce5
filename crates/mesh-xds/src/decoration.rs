//! What Istio writes and this mesh's own proxy does not need: it is added to every resource here, and nowhere else, so
//! that other data planes and tools find it where they expect it. Decoding recognises exactly these forms.
//!
//! None of it is in the model. That a source of configuration names the agent's secret service or the one stream of
//! ADS is no decoration but the only thing that this proxy can do; anything else is refused.

use crate::{
    decode::{At, Extension, Written, duration, variant, wire_duration},
    pb::{
        envoy::config::{
            cluster::v3 as cluster,
            core::v3::{
                AggregatedConfigSource, ApiConfigSource, ApiVersion, ConfigSource, GrpcService,
                api_config_source::ApiType,
                config_source::ConfigSourceSpecifier,
                grpc_service::{EnvoyGrpc, TargetSpecifier},
            },
        },
        google::protobuf::{Any, Duration as WireDuration},
        istio::metadata_exchange,
        pack_any,
        udpa::r#type::v1::TypedStruct,
    },
    sorted,
};
use mesh_model::{filter::MetadataExchange, name};
use prost::Name;
use std::{mem::take, time::Duration};

/// Name of the filter that swaps metadata.
pub(crate) const METADATA_EXCHANGE: &str = "istio.metadata_exchange";
/// ALPN protocol under which it does.
const PEER_EXCHANGE: &str = "istio-peer-exchange";

/// The stream of ADS itself, waited for as long as it takes.
pub(crate) fn ads_source() -> ConfigSource {
    source(ConfigSourceSpecifier::Ads(AggregatedConfigSource {}))
}

/// The agent's secret service.
pub(crate) fn sds_source() -> ConfigSource {
    source(ConfigSourceSpecifier::ApiConfigSource(ApiConfigSource {
        api_type: ApiType::Grpc.into(),
        transport_api_version: ApiVersion::V3.into(),
        grpc_services: vec![GrpcService {
            target_specifier: Some(TargetSpecifier::EnvoyGrpc(EnvoyGrpc {
                cluster_name: name::SDS_CLUSTER.into(),
                ..Default::default()
            })),
            ..Default::default()
        }],
        set_node_on_first_message_only: true,
        ..Default::default()
    }))
}

fn source(specifier: ConfigSourceSpecifier) -> ConfigSource {
    ConfigSource {
        initial_fetch_timeout: Some(wire_duration(Duration::ZERO)),
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(specifier),
        ..Default::default()
    }
}

/// Accepts the ADS stream as a source, nothing else.
pub(crate) fn expect_ads(mut wire: ConfigSource, at: &At<'_>) -> Option<()> {
    match wire.config_source_specifier.take() {
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_)) => {
            finish_source(wire, at)
        }
        _ => at.refuse("comes from elsewhere than the stream of ADS"),
    }
}

/// Accepts the agent's secret service as a source, nothing else: who else could sign for this pod?
pub(crate) fn expect_sds(mut wire: ConfigSource, at: &At<'_>) -> Option<()> {
    match wire.config_source_specifier.take() {
        Some(ConfigSourceSpecifier::ApiConfigSource(api)) => {
            let agent = expect_agent(api, &at.field("api_config_source"));
            let rest = finish_source(wire, at);
            agent.and(rest)
        }
        _ => at.refuse("secrets come from the agent alone"),
    }
}

fn expect_agent(mut wire: ApiConfigSource, at: &At<'_>) -> Option<()> {
    let api = match variant(take(&mut wire.api_type), &at.field("api_type"))? {
        ApiType::Grpc | ApiType::DeltaGrpc => {
            expect_v3(&mut wire.transport_api_version, at, "transport_api_version")
        }
        other => at
            .field("api_type")
            .refuse(format!("{} is not served", other.as_str_name())),
    };
    let services = take(&mut wire.grpc_services);
    let agents = services.len() == 1 && services.iter().all(is_agent);
    // How often the node is sent concerns only who speaks the protocol.
    wire.set_node_on_first_message_only = false;
    at.finish(wire);
    match agents {
        true => api,
        false => at
            .field("grpc_services")
            .refuse(format!("secrets come from `{}` alone", name::SDS_CLUSTER)),
    }
}

fn is_agent(service: &GrpcService) -> bool {
    let agent = EnvoyGrpc {
        cluster_name: name::SDS_CLUSTER.into(),
        ..Default::default()
    };
    matches!(&service.target_specifier, Some(TargetSpecifier::EnvoyGrpc(grpc)) if *grpc == agent)
}

fn finish_source(mut wire: ConfigSource, at: &At<'_>) -> Option<()> {
    let version = expect_v3(&mut wire.resource_api_version, at, "resource_api_version");
    let timeout = at.optional(
        "initial_fetch_timeout",
        wire.initial_fetch_timeout.take(),
        expect_patience,
    );
    at.finish(wire);
    version.and(timeout.map(|_| ()))
}

fn expect_patience(wire: WireDuration, at: &At<'_>) -> Option<()> {
    if duration(wire, at)? != Duration::ZERO {
        at.ignore("what is missing is waited for as long as it takes");
    }
    Some(())
}

fn expect_v3(wire: &mut i32, at: &At<'_>, name: &str) -> Option<()> {
    match variant(take(wire), &at.field(name))? {
        ApiVersion::V3 | ApiVersion::Auto => Some(()),
        other => at
            .field(name)
            .refuse(format!("version {} is gone", other.as_str_name())),
    }
}

/// The configuration of metadata exchange as Istio writes it.
pub(crate) fn metadata_exchange(protocol: &str) -> Any {
    pack_any(TypedStruct {
        type_url: metadata_exchange::MetadataExchange::type_url(),
        value: Some(sorted::object([
            ("enable_discovery", sorted::flag(true)),
            ("protocol", sorted::text(protocol)),
        ])),
    })
}

/// Reads it, in each of its forms. Whether peers that stay silent are looked up elsewhere changes only metrics.
pub(crate) fn decode_metadata_exchange(config: Extension, at: &At<'_>) -> Option<MetadataExchange> {
    let protocol = match config.written::<metadata_exchange::MetadataExchange>(at)? {
        Written::Fields(mut fields) => {
            let protocol = fields.text("protocol", at);
            let discovery = fields.flag("enable_discovery", at);
            fields.finish(&metadata_exchange::MetadataExchange::full_name(), at);
            discovery.and(protocol)
        }
        Written::Message(mut wire) => {
            let protocol = take(&mut wire.protocol);
            wire.enable_discovery = false;
            at.finish(wire);
            Some(protocol)
        }
    };
    let protocol = at.text("protocol", protocol?)?;
    Some(MetadataExchange { protocol })
}

/// The filters of a cluster that offers the exchange by ALPN.
pub(crate) fn cluster_filters<'a>(
    offered: impl IntoIterator<Item = &'a String>,
) -> Vec<cluster::Filter> {
    let exchanges = offered
        .into_iter()
        .any(|protocol| protocol == PEER_EXCHANGE);
    let filter = || cluster::Filter {
        name: METADATA_EXCHANGE.into(),
        typed_config: Some(metadata_exchange(PEER_EXCHANGE)),
        config_discovery: None,
    };
    exchanges.then(filter).into_iter().collect()
}

/// Accepts the exchange as a cluster's filter, nothing else: it works by what ALPN agrees on, filter or not.
pub(crate) fn expect_cluster_filter(mut wire: cluster::Filter, at: &At<'_>) -> Option<()> {
    let config = at.required("typed_config", wire.typed_config.take(), Extension::open);
    wire.name.clear();
    at.finish(wire);
    let (config, at) = (config?, at.field("typed_config"));
    if config.type_name != metadata_exchange::MetadataExchange::full_name() {
        return config.unknown(&at);
    }
    match decode_metadata_exchange(config, &at)?.protocol.as_str() {
        PEER_EXCHANGE => Some(()),
        other => at
            .field("protocol")
            .refuse(format!("{other:?} is not spoken")),
    }
}
