//! Fields that were written but not understood.
//!
//! The Kubernetes types skip what they do not know. Comparing what was written with what was understood finds it again,
//! so that a misspelt field can be shown instead of having no effect without a word.

use serde_json::Value;

/// The paths in `written` that `understood` (the same thing after a round trip through its type) has no place for.
///
/// Empty values do not count: a type may leave them out when it is written again.
#[must_use]
pub fn unknown_fields(written: &Value, understood: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare("", written, understood, &mut paths);
    paths
}

fn compare(path: &str, written: &Value, understood: &Value, paths: &mut Vec<String>) {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            for (key, value) in written {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                match understood.get(key) {
                    Some(other) => compare(&path, value, other, paths),
                    None if is_empty(value) => {}
                    None => paths.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(understood)) => {
            for (index, (value, other)) in written.iter().zip(understood).enumerate() {
                compare(&format!("{path}[{index}]"), value, other, paths);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
