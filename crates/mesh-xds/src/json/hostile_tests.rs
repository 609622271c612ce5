//! Bytes and JSON from outside must give a result or an error, whatever they are.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Pool, Style, resources};

const CAPTURE: &str = include_str!("../../testdata/captures/article/test.config_dump.json");
const DUMP: &str = "envoy.admin.v3.ConfigDump";

fn capture() -> Json {
    serde_json::from_str(CAPTURE).unwrap()
}

/// How many values `json` consists of, itself included.
fn count(json: &Json) -> usize {
    1 + match json {
        Json::Array(items) => items.iter().map(count).sum(),
        Json::Object(object) => object.values().map(count).sum(),
        _ => 0,
    }
}

/// The value number `index` of `json`, in the order of the document.
fn nth<'a>(json: &'a mut Json, index: &mut usize) -> Option<&'a mut Json> {
    if *index == 0 {
        return Some(json);
    }
    *index -= 1;
    match json {
        Json::Array(items) => items.iter_mut().find_map(|v| nth(v, index)),
        Json::Object(object) => object.values_mut().find_map(|v| nth(v, index)),
        _ => None,
    }
}

fn odd_values() -> impl Strategy<Value = Json> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("NaN"),
        json!("999999999999999999999s"),
        json!("\u{0}"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "@type": 7 }),
        json!({ "@type": "" }),
        json!({ "@type": "type.googleapis.com/google.protobuf.Any" }),
        json!({ "@type": "type.googleapis.com/google.protobuf.Value", "value": null }),
        json!({ "@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": [] }),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_print_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let pool = Pool::load();
        for name in [DUMP, "google.protobuf.Any", "google.protobuf.Value", "google.protobuf.FieldMask",
            "google.protobuf.Timestamp", "envoy.config.core.v3.Metadata", "envoy.config.route.v3.RouteMatch"] {
            let _ = pool.print(name, &bytes, Style::Envoy);
            prop_assert!(pool.print_any(name, &bytes, Style::Istio).is_ok(), "inside an Any nothing is an error");
        }
    }

    #[test]
    fn a_damaged_configuration_prints_or_fails(damage in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4)) {
        let pool = Pool::load();
        let mut bytes = pool.read(DUMP, &capture()).unwrap();
        for (place, byte) in damage {
            *place.get_mut(&mut bytes) = byte;
        }
        let url = format!("type.googleapis.com/{DUMP}");
        prop_assert!(pool.print_any(&url, &bytes, Style::Envoy).is_ok());
    }

    #[test]
    fn a_document_with_odd_values_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd_values()), 1..4),
    ) {
        let pool = Pool::load();
        let mut json = capture();
        for (place, value) in changes {
            let mut index = place.index(count(&json));
            *nth(&mut json, &mut index).unwrap() = value;
        }
        if let Ok(bytes) = pool.read(DUMP, &json) {
            prop_assert!(pool.print(DUMP, &bytes, Style::Istio).is_ok());
        }
        let _ = resources(&pool, &json);
    }
}
