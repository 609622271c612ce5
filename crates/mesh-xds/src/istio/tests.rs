use super::*;
use crate::{
    decode,
    pb::{
        google::protobuf::{Struct, Value, value::Kind},
        istio::{
            metadata_exchange::MetadataExchange,
            peer_metadata::{
                Config,
                config::{
                    Baggage, DiscoveryMethod, IstioHeaders, PropagationMethod, WorkloadDiscovery,
                    discovery_method::MethodSpecifier as Discovery,
                    propagation_method::MethodSpecifier as Propagation,
                },
            },
            stats::MetricConfig,
        },
    },
};
use mesh_model::http::PeerMetadata;
use prost::Message;

/// Decodes `config` as it stands in a filter: its value with the places of what is ignored, or what is wrong.
fn decoded<T>(
    config: &Any,
    decode: impl FnOnce(Extension, &At<'_>) -> Option<T>,
) -> Result<(T, Vec<String>), String> {
    let decode = |any: Any, at: &At<'_>| decode(Extension::open(any, at)?, at);
    match decode::decode(&config.encode_to_vec(), decode) {
        Ok(decoded) => {
            let places = decoded.ignored.into_iter().map(|i| i.path);
            Ok((decoded.value, places.collect()))
        }
        Err(invalid) => Err(invalid.to_string()),
    }
}

/// A configuration of type `M` in a `TypedStruct` of the package `package`.
fn in_struct<M: Name>(
    package: &str,
    fields: impl IntoIterator<Item = (&'static str, Kind)>,
) -> Any {
    #[derive(Clone, PartialEq, Message)]
    struct TypedStruct {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(message, optional, tag = "2")]
        value: Option<Struct>,
    }
    let fields = fields.into_iter();
    let fields = fields.map(|(name, kind)| (name.to_owned(), Value { kind: Some(kind) }));
    let wrapped = TypedStruct {
        type_url: M::type_url(),
        value: Some(Struct {
            fields: fields.collect(),
        }),
    };
    Any {
        type_url: format!("type.googleapis.com/{package}.TypedStruct"),
        value: wrapped.encode_to_vec(),
    }
}

#[test]
fn statistics_are_read_in_every_form() {
    let fallback = || [("disable_host_header_fallback", Kind::BoolValue(true))];
    let camel = [("disableHostHeaderFallback", Kind::BoolValue(true))];
    let want = Stats {
        disable_host_header_fallback: true,
    };
    for config in [
        encode_stats(want),
        in_struct::<PluginConfig>("udpa.type.v1", fallback()),
        in_struct::<PluginConfig>("xds.type.v3", fallback()),
        in_struct::<PluginConfig>("udpa.type.v1", camel),
    ] {
        assert_eq!(decoded(&config, decode_stats), Ok((want, vec![])));
    }
}

#[test]
fn changes_to_metrics_are_listed_in_every_form() {
    let typed = pack_any(PluginConfig {
        metrics: vec![MetricConfig::default()],
        tcp_reporting_duration: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    });
    let fields = [
        ("metrics", Kind::ListValue(Default::default())),
        ("tcpReportingDuration", Kind::StringValue("1s".into())),
    ];
    let places = vec!["metrics".to_owned(), "tcp_reporting_duration".to_owned()];
    for (config, want) in [
        (typed, vec![places[1].clone(), places[0].clone()]),
        (in_struct::<PluginConfig>("udpa.type.v1", fields), places),
    ] {
        assert_eq!(decoded(&config, decode_stats), Ok((Stats::default(), want)));
    }
}

#[test]
fn a_struct_with_a_field_of_no_filter_is_refused() {
    let config = in_struct::<PluginConfig>("udpa.type.v1", [("surprise", Kind::BoolValue(true))]);
    assert_eq!(
        decoded(&config, decode_stats),
        Err("surprise: is set, and this proxy does not execute it".into())
    );
    let config = in_struct::<PluginConfig>(
        "udpa.type.v1",
        [(
            "disable_host_header_fallback",
            Kind::StringValue("yes".into()),
        )],
    );
    assert_eq!(
        decoded(&config, decode_stats),
        Err("disable_host_header_fallback: is not a boolean".into())
    );
}

#[test]
fn metadata_exchange_is_read_in_every_form() {
    let typed = pack_any(MetadataExchange {
        protocol: "istio-peer-exchange".into(),
        enable_discovery: true,
        additional_labels: vec![],
    });
    for config in [
        typed,
        crate::decoration::metadata_exchange("istio-peer-exchange"),
    ] {
        let (settings, ignored) =
            decoded(&config, crate::decoration::decode_metadata_exchange).expect("known");
        assert_eq!(settings.protocol, "istio-peer-exchange");
        assert_eq!(ignored, Vec::<String>::new());
    }
}

/// A typed configuration whose client is found by `found` and told by `told`.
fn typed_peer(found: Vec<Discovery>, told: IstioHeaders) -> Any {
    let found = found.into_iter().map(|way| DiscoveryMethod {
        method_specifier: Some(way),
    });
    pack_any(Config {
        downstream_discovery: found.collect(),
        downstream_propagation: vec![PropagationMethod {
            method_specifier: Some(Propagation::IstioHeaders(told)),
        }],
        ..Default::default()
    })
}

#[test]
fn peer_metadata_is_read_in_every_form() {
    let want = PeerMetadata {
        downstream_discovery: true,
        downstream_propagation: true,
        ..Default::default()
    };
    let ways = vec![
        Discovery::IstioHeaders(IstioHeaders::default()),
        Discovery::WorkloadDiscovery(WorkloadDiscovery {}),
    ];
    for config in [
        encode_peer_metadata(want),
        typed_peer(ways, IstioHeaders::default()),
    ] {
        assert_eq!(decoded(&config, decode_peer_metadata), Ok((want, vec![])));
    }
}

#[test]
fn ways_to_find_a_peer_that_only_others_have_are_listed_or_refused() {
    let baggage = typed_peer(
        vec![Discovery::Baggage(Baggage {})],
        IstioHeaders::default(),
    );
    let (peer, ignored) = decoded(&baggage, decode_peer_metadata).expect("known");
    assert!(!peer.downstream_discovery);
    assert_eq!(ignored, ["downstream_discovery[0].baggage"]);

    // Whom we tell about us is no detail.
    let in_mesh = IstioHeaders {
        skip_external_clusters: true,
    };
    assert_eq!(
        decoded(&typed_peer(vec![], in_mesh), decode_peer_metadata),
        Err(
            "downstream_propagation[0].istio_headers.skip_external_clusters: \
             is set, and this proxy does not execute it"
                .into()
        )
    );
}

#[test]
fn one_version_has_one_offer() {
    use crate::pb::istio::alpn::{FilterConfig, filter_config::AlpnOverride};
    let offer = || AlpnOverride {
        upstream_protocol: 2,
        alpn_override: vec!["h2".into()],
    };
    let twice = pack_any(FilterConfig {
        alpn_override: vec![offer(), offer()],
    });
    assert_eq!(
        decoded(&twice, decode_alpn),
        Err("alpn_override: HTTP2 is given twice".into())
    );
}
