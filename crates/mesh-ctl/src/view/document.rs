//! Whole resources as JSON or YAML, in the layout of `istioctl`.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// `value` as JSON, four spaces a level, with a newline at the end.
pub(crate) fn json(value: &Value) -> String {
    let mut text = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    value
        .serialize(&mut serializer)
        .expect("a value has text keys only, and memory takes every byte");
    text.push(b'\n');
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// `value` as YAML, keys in alphabetical order.
pub(crate) fn yaml(value: &Value) -> String {
    mesh_api::yaml::to_string(&sorted(value))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            fields.into_iter().collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_the_order_of_keys_and_yaml_does_not() {
        let value = serde_json::json!([{ "name": "b", "@type": "t", "a": [] }]);
        let expected = "[\n    {\n        \"name\": \"b\",\n        \"@type\": \"t\",\n        \"a\": []\n    }\n]\n";
        assert_eq!(json(&value), expected);
        assert_eq!(yaml(&value), "- '@type': t\n  a: []\n  name: b\n");
    }
}
