use serde_json::json;

use super::*;
use crate::json::Style;

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";

fn refusal(name: &str, json: Json) -> String {
    Pool::load().read(name, &json).unwrap_err().to_string()
}

#[test]
fn both_styles_of_names_are_taken() {
    let pool = Pool::load();
    let snake = json!({ "name": "c", "connect_timeout": "0.25s", "type": "EDS", "lb_policy": 1 });
    let camel =
        json!({ "name": "c", "connectTimeout": "0.250s", "type": 3, "lbPolicy": "LEAST_REQUEST" });
    let bytes = pool.read(CLUSTER, &snake).unwrap();
    assert_eq!(bytes, pool.read(CLUSTER, &camel).unwrap());
    assert_eq!(
        pool.print(CLUSTER, &bytes, Style::Envoy).unwrap(),
        json!({ "name": "c", "type": "EDS", "connect_timeout": "0.250s", "lb_policy": "LEAST_REQUEST" })
    );
}

#[test]
fn an_error_names_its_place() {
    for (json, error) in [
        (json!(1), "the document: expected an object"),
        (
            json!({ "nam": "c" }),
            "nam: no such field in envoy.config.cluster.v3.Cluster",
        ),
        (
            json!({ "load_assignment": { "endpoints": [{}, { "prio": 1 }] } }),
            "load_assignment.endpoints[1].prio: no such field in envoy.config.endpoint.v3.LocalityLbEndpoints",
        ),
        (
            json!({ "transport_socket": { "typed_config": { "name": "x" } } }),
            "transport_socket.typed_config: `@type` is missing\n\
             hint: name the message, e.g. `\"@type\": \"type.googleapis.com/…\"`",
        ),
        (
            json!({ "transport_socket": { "typed_config": { "@type": "t/acme.v1.NotKnown", "x": 1 } } }),
            "transport_socket.typed_config: no message type named `acme.v1.NotKnown` is known",
        ),
        (
            json!({ "lb_policy": "BEST" }),
            "lb_policy: \"BEST\" is no value of envoy.config.cluster.v3.Cluster.LbPolicy",
        ),
        (
            json!({ "health_checks": {} }),
            "health_checks: expected a list",
        ),
        (
            json!({ "type": "EDS", "cluster_type": { "name": "x" } }),
            "cluster_type: cannot stand beside `type`: only one of them may be set",
        ),
        (
            json!({ "connect_timeout": "1s", "connectTimeout": "1s" }),
            "connectTimeout: cannot stand beside `connect_timeout`: only one of them may be set",
        ),
    ] {
        assert_eq!(refusal(CLUSTER, json), error);
    }
    for (json, place) in [
        (json!({ "name": 7 }), "name: "),
        (json!({ "connect_timeout": "soon" }), "connect_timeout: "),
        (json!({ "health_checks": [null] }), "health_checks[0]: "),
        (
            json!({ "metadata": { "filter_metadata": { "istio": 3 } } }),
            "metadata.filter_metadata.istio: ",
        ),
    ] {
        let error = refusal(CLUSTER, json);
        assert!(error.starts_with(place), "{error}");
    }
}

#[test]
fn null_means_not_set_except_where_it_is_a_value() {
    let pool = Pool::load();
    assert!(
        pool.read(CLUSTER, &json!({ "name": null, "health_checks": null }))
            .unwrap()
            .is_empty()
    );
    let data = json!({ "x": null });
    let bytes = pool.read("google.protobuf.Struct", &data).unwrap();
    assert_eq!(
        pool.print("google.protobuf.Struct", &bytes, Style::Envoy)
            .unwrap(),
        data
    );
}

#[test]
fn scalars_of_every_kind_come_back() {
    let pool = Pool::load();
    for (name, json) in [
        (
            "envoy.config.core.v3.DataSource",
            json!({ "inline_bytes": "+/8=" }),
        ),
        (
            "envoy.type.v3.Int64Range",
            json!({ "start": "-9223372036854775808", "end": "9223372036854775807" }),
        ),
        (
            "envoy.type.v3.DoubleRange",
            json!({ "start": -0.5, "end": 1e300 }),
        ),
        (
            "envoy.config.core.v3.SocketAddress",
            json!({ "port_value": 4294967295_u32, "ipv4_compat": true }),
        ),
        (
            "istio.networking.nds.v1.NameTable",
            json!({ "table": { "a": { "ips": ["10.0.0.1"] }, "b": {} } }),
        ),
        (
            "envoy.config.core.v3.Node",
            json!({ "metadata": { "LABELS": { "app": "x" } } }),
        ),
    ] {
        let bytes = pool.read(name, &json).unwrap();
        assert_eq!(pool.print(name, &bytes, Style::Envoy).unwrap(), json);
    }
    assert!(
        pool.read("envoy.type.v3.Int64Range", &json!({ "end": 5 }))
            .is_ok(),
        "a plain number will do"
    );
}

#[test]
fn the_unknown_is_left_out_and_listed_when_asked() {
    let json = json!({
        "name": "c",
        "new_field": 1,
        "lb_policy": "BEST",
        "transport_socket": { "name": "t", "typed_config": { "@type": "t/acme.v1.NotKnown", "x": 1 } },
    });
    let pool = Pool::load();
    let (bytes, ignored) = pool.read_known(CLUSTER, &json).unwrap();
    assert_eq!(
        pool.print(CLUSTER, &bytes, Style::Envoy).unwrap(),
        json!({
            "name": "c",
            "transport_socket": { "name": "t", "typed_config": { "@type": "t/acme.v1.NotKnown" } },
        })
    );
    let places: Vec<_> = ignored.iter().map(|i| i.place.as_str()).collect();
    assert_eq!(
        places,
        ["new_field", "lb_policy", "transport_socket.typed_config"]
    );
    // A known field is never left out, whatever is wrong with it.
    assert!(pool.read_known(CLUSTER, &json!({ "name": 1 })).is_err());
}

#[test]
fn an_unknown_type_without_content_is_taken_as_it_was_printed() {
    let json = json!({ "transport_socket": { "typed_config": { "@type": "t/acme.v1.NotKnown" } } });
    let pool = Pool::load();
    let bytes = pool.read(CLUSTER, &json).unwrap();
    assert_eq!(pool.print(CLUSTER, &bytes, Style::Envoy).unwrap(), json);
}

#[test]
fn endless_nesting_is_an_error() {
    let text = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(
        serde_json::from_str::<Json>(&text).is_err(),
        "the parser stops first"
    );

    let mut json = Json::Null;
    for _ in 0..10_000 {
        json = Json::Array(vec![json]);
    }
    let result = Pool::load().read("google.protobuf.ListValue", &json);
    // Taken apart level by level, as dropping it whole would recurse.
    while let Json::Array(mut items) = json {
        json = items.pop().unwrap_or_default();
    }
    assert!(
        matches!(
            result,
            Err(ReadError {
                problem: Problem::TooDeep,
                ..
            })
        ),
        "{result:?}"
    );
}
