//! JSON, YAML and base64.

use mesh_api::k8s::ByteString;
use mesh_api::yaml;
use serde_json::Value as Json;

use super::{Answer, Budget, Function, Shape, Value, function, made, text};

pub(super) static FUNCTIONS: &[Function] = &[
    function("toYaml", 1, 1, |b, args| {
        let json = args[0].to_json(b)?;
        made(yaml::to_string(&json), b)
    }),
    function("toPrettyJson", 1, 1, |b, args| {
        let json = args[0].to_json(b)?;
        made(format!("{json:#}"), b)
    }),
    function("toRawJson", 1, 1, |b, args| {
        let json = args[0].to_json(b)?;
        made(json.to_string(), b)
    }),
    function("fromJSON", 1, 1, |b, args| from_json(b, &args[0])),
    function("fromJson", 1, 1, |b, args| from_json(b, &args[0])),
    function("b64enc", 1, 1, |b, args| {
        let bytes = ByteString(text(&args[0])?.as_bytes().to_vec());
        let encoded = serde_json::to_value(bytes).map_err(|error| error.to_string())?;
        made(encoded.as_str().unwrap_or_default().to_owned(), b)
    }),
    function("b64dec", 1, 1, |b, args| {
        let encoded = Json::from(text(&args[0])?);
        let bytes: ByteString =
            serde_json::from_value(encoded).map_err(|error| error.to_string())?;
        let decoded = String::from_utf8(bytes.0).map_err(|error| error.to_string())?;
        made(decoded, b)
    }),
];

fn from_json(budget: &mut Budget, value: &Value) -> Answer {
    let text = text(value)?;
    // A byte of text can become a value of its own.
    budget.make(text.len().saturating_mul(32))?;
    let json: Json = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    Value::from_json(&json, Shape::Any)
}

/// JSON in a text, in which Go writes these characters as escapes.
pub(super) fn json_text(value: &Value, budget: &mut Budget) -> Answer {
    let text = value.to_json(budget)?.to_string();
    let text = text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    made(text, budget)
}
