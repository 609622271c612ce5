use prost::Message;
use serde_json::json;

use super::*;
use crate::pb::envoy::config::core::v3::{Metadata, RuntimeFractionalPercent};
use crate::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter::ConfigType};
use crate::pb::envoy::extensions::filters::http::router::v3::Router;
use crate::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, http_filter,
};
use crate::pb::envoy::r#type::v3::{FractionalPercent, Percent};
use crate::pb::google::protobuf::{
    Any, Duration, Struct, UInt32Value, Value as Data, value::Kind as DataKind,
};
use crate::pb::pack_any;

const LISTENER: &str = "envoy.config.listener.v3.Listener";

fn any(type_url: &str, value: &[u8]) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{type_url}"),
        value: value.to_vec(),
    }
}

fn http_filter(name: &str, config: Any) -> HttpFilter {
    HttpFilter {
        name: name.into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

fn listener(filter: Any) -> Listener {
    let filter = Filter {
        name: "f".into(),
        config_type: Some(ConfigType::TypedConfig(filter)),
    };
    Listener {
        name: "l".into(),
        filter_chains: vec![FilterChain {
            filters: vec![filter],
            ..Default::default()
        }],
        per_connection_buffer_limit_bytes: Some(UInt32Value { value: 0 }),
        ..Default::default()
    }
}

#[test]
fn an_any_that_cannot_be_expanded_prints_its_type_and_spares_the_rest() {
    let manager = HttpConnectionManager {
        stat_prefix: "s".into(),
        stream_idle_timeout: Some(Duration {
            seconds: 0,
            nanos: 5_000_000,
        }),
        http_filters: vec![
            http_filter("unknown", any("acme.v1.NotKnown", &[8, 1])),
            http_filter(
                "broken",
                any("envoy.extensions.filters.http.router.v3.Router", &[0xff; 3]),
            ),
            http_filter(
                "nested",
                pack_any(any("envoy.extensions.filters.http.cors.v3.Cors", &[])),
            ),
            http_filter(
                "router",
                pack_any(Router {
                    suppress_envoy_headers: true,
                    ..Default::default()
                }),
            ),
        ],
        ..Default::default()
    };
    let bytes = listener(pack_any(manager)).encode_to_vec();
    let pool = Pool::load();
    let url = "type.googleapis.com";
    let hcm = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    assert_eq!(
        pool.print(LISTENER, &bytes, Style::Envoy).unwrap(),
        json!({
            "name": "l",
            "filter_chains": [{ "filters": [{ "name": "f", "typed_config": {
                "@type": format!("{url}/{hcm}"),
                "stat_prefix": "s",
                "http_filters": [
                    { "name": "unknown", "typed_config": { "@type": format!("{url}/acme.v1.NotKnown") } },
                    { "name": "broken", "typed_config": {
                        "@type": format!("{url}/envoy.extensions.filters.http.router.v3.Router") } },
                    { "name": "nested", "typed_config": {
                        "@type": format!("{url}/google.protobuf.Any"),
                        "value": { "@type": format!("{url}/envoy.extensions.filters.http.cors.v3.Cors") } } },
                    { "name": "router", "typed_config": {
                        "@type": format!("{url}/envoy.extensions.filters.http.router.v3.Router"),
                        "suppress_envoy_headers": true } },
                ],
                "stream_idle_timeout": "0.005s",
            } }] }],
            "per_connection_buffer_limit_bytes": 0,
        })
    );
}

#[test]
fn the_styles_differ_in_names_and_order() {
    let bytes = listener(any("acme.v1.NotKnown", &[])).encode_to_vec();
    let pool = Pool::load();
    let keys = |style| -> Vec<String> {
        let json = pool.print(LISTENER, &bytes, style).unwrap();
        json.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(
        keys(Style::Envoy),
        ["name", "filter_chains", "per_connection_buffer_limit_bytes"]
    );
    assert_eq!(
        keys(Style::Istio),
        ["name", "filterChains", "perConnectionBufferLimitBytes"]
    );

    // `transport_socket_matches` has number 43 and stands first in the proto.
    let cluster = crate::pb::envoy::config::cluster::v3::Cluster {
        name: "c".into(),
        transport_socket_matches: vec![Default::default()],
        ..Default::default()
    };
    let any = pack_any(cluster);
    let istio = pool
        .print_any(&any.type_url, &any.value, Style::Istio)
        .unwrap();
    let keys: Vec<_> = istio.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["@type", "transportSocketMatches", "name"]);
}

#[test]
fn maps_are_sorted_and_plain_data_prints_as_itself() {
    let number = |n| Data {
        kind: Some(DataKind::NumberValue(n)),
    };
    let fields = ["b", "a", "e", "c", "d"]
        .into_iter()
        .zip([1.0, 0.5, f64::NAN, -3.0, 1e300]);
    let data = Struct {
        fields: fields.map(|(k, n)| (k.to_owned(), number(n))).collect(),
    };
    let metadata = Metadata {
        filter_metadata: [("istio".to_owned(), data)].into(),
        ..Default::default()
    };
    let any = pack_any(metadata);
    let json = Pool::load()
        .print_any(&any.type_url, &any.value, Style::Envoy)
        .unwrap();
    assert_eq!(
        json["filter_metadata"].to_string(),
        r#"{"istio":{"a":0.5,"b":1,"c":-3,"d":1e+300,"e":"NaN"}}"#
    );
}

#[test]
fn a_typed_struct_prints_its_data() {
    let json = json!({
        "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
        "type_url": "type.googleapis.com/io.istio.http.peer_metadata.Config",
        "value": { "downstream_discovery": [{ "istio_headers": {} }, null, true, "x"], "empty": [] },
    });
    let pool = Pool::load();
    let bytes = pool.read("google.protobuf.Any", &json).unwrap();
    assert_eq!(
        pool.print("google.protobuf.Any", &bytes, Style::Envoy)
            .unwrap(),
        json
    );
}

#[test]
fn numbers_have_no_needless_digits() {
    let pool = Pool::load();
    let print = |any: Any| {
        pool.print_any(&any.type_url, &any.value, Style::Envoy)
            .unwrap()
    };
    assert_eq!(
        print(pack_any(Percent { value: 50.0 }))["value"].to_string(),
        "50"
    );
    assert_eq!(
        print(pack_any(Percent { value: 0.1 }))["value"].to_string(),
        "0.1"
    );
    assert_eq!(float(shortest(0.1_f32)).to_string(), "0.1");
    // An unknown value of an enumeration is its number.
    let fraction = RuntimeFractionalPercent {
        default_value: Some(FractionalPercent {
            numerator: 1,
            denominator: 99,
        }),
        ..Default::default()
    };
    assert_eq!(
        print(pack_any(fraction))["default_value"],
        json!({ "numerator": 1, "denominator": 99 })
    );
}

#[test]
fn messages_with_a_form_of_their_own() {
    let pool = Pool::load();
    let print = |name: &str, bytes: &[u8]| {
        pool.print(&format!("google.protobuf.{name}"), bytes, Style::Envoy)
            .unwrap()
    };
    assert_eq!(print("Duration", &[8, 15]), json!("15s"));
    assert_eq!(print("Timestamp", &[]), json!("1970-01-01T00:00:00Z"));
    assert_eq!(print("UInt64Value", &[8, 5]), json!("5"));
    assert_eq!(print("BoolValue", &[]), json!(false));
    assert_eq!(print("BytesValue", &[10, 2, 0xfb, 0xff]), json!("+/8="));
    assert_eq!(print("Empty", &[]), json!({}));
    assert_eq!(print("Struct", &[]), json!({}));
    assert_eq!(print("ListValue", &[]), json!([]));
    assert_eq!(print("Value", &[]), json!(null));
    assert_eq!(print("Any", &[]), json!({}));
    // More nanoseconds than a second has: no text can say that.
    let odd = Duration {
        seconds: 1,
        nanos: 2_000_000_000,
    }
    .encode_to_vec();
    assert_eq!(
        print("Duration", &odd),
        json!({ "seconds": "1", "nanos": 2_000_000_000 })
    );
}

#[test]
fn what_cannot_be_printed_says_why() {
    let pool = Pool::load();
    let error = pool
        .print("acme.v1.NotKnown", &[], Style::Envoy)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no message type named `acme.v1.NotKnown` is known"
    );
    let error = pool.print(LISTENER, &[0xff], Style::Envoy).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the bytes are not a `{LISTENER}`")
    );
    assert!(std::error::Error::source(&error).is_some());
}

/// `count` messages inside one another, each the field that `header` begins (with its length to come) of the next.
fn nested(count: usize, headers: &[&[u8]]) -> Vec<u8> {
    let mut reversed = Vec::new();
    for header in headers.iter().cycle().take(count) {
        let mut field = header.to_vec();
        prost::encoding::encode_varint(reversed.len() as u64, &mut field);
        reversed.extend(field.iter().rev());
    }
    reversed.reverse();
    reversed
}

#[test]
fn endless_nesting_is_an_error() {
    let pool = Pool::load();
    // Lists of plain data: a list is field 6 of a value, values are field 1 of a list.
    let lists = nested(20_000, &[&[0x0a], &[0x32]]);
    let error = pool
        .print("google.protobuf.Value", &lists, Style::Envoy)
        .unwrap_err();
    assert!(matches!(error, PrintError::Malformed { .. }), "{error:?}");

    let mut header = any("google.protobuf.Any", &[]).encode_to_vec();
    header.push(0x12);
    let anys = nested(10_000, &[&header]);
    let error = pool
        .print("google.protobuf.Any", &anys, Style::Envoy)
        .unwrap_err();
    assert!(matches!(error, PrintError::TooDeep), "{error:?}");
    // As many as honest configurations have are fine.
    let anys = nested(50, &[&header]);
    assert!(
        pool.print("google.protobuf.Any", &anys, Style::Envoy)
            .is_ok()
    );
}

#[test]
fn what_is_printed_can_be_parsed_however_deep_it_goes() {
    let pool = Pool::load();
    let mut header = any("google.protobuf.Any", &[]).encode_to_vec();
    header.push(0x12);
    let deepest = (1..200)
        .map_while(|n| {
            pool.print("google.protobuf.Any", &nested(n, &[&header]), Style::Envoy)
                .ok()
        })
        .last()
        .unwrap();
    let text = deepest.to_string();
    let parsed: Json = serde_json::from_str(&text).unwrap();
    assert!(pool.read("google.protobuf.Any", &parsed).is_ok());
}
