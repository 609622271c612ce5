//! Editing a pod's JSON in place, keeping the order of what stays.

use serde::Serialize;
use serde_json::{Map, Value};

/// The object under `path` (keys from the top), made if it is missing or null.
pub(crate) fn object<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    let mut current = value;
    for key in path {
        current = as_object(current).entry(*key).or_insert(Value::Null);
    }
    as_object(current)
}

/// The list `name` of `pod`'s spec, made if it is missing or null.
pub(crate) fn spec_list<'a>(pod: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    let slot = object(pod, &["spec"]).entry(name).or_insert(Value::Null);
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("made an array just above")
}

fn as_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("made an object just above")
}

/// Removes the elements of the list `name` of `pod`'s spec that `is_ours`; and the list if nothing is left of it, except
/// for `containers`, which every pod must have.
pub(crate) fn remove_from_list(pod: &mut Value, name: &str, is_ours: impl Fn(&Value) -> bool) {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(Value::Array(items)) = spec.get_mut(name) else {
        return;
    };
    let before = items.len();
    items.retain(|item| !is_ours(item));
    if items.is_empty() && before > 0 && name != "containers" {
        spec.shift_remove(name);
    }
}

/// The field `name` of a container, volume or secret.
pub(crate) fn name_of(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// A typed Kubernetes object as JSON. These types hold maps with string keys only, which always have a JSON form.
pub(crate) fn to_json(object: &impl Serialize) -> Value {
    serde_json::to_value(object).expect("Kubernetes types have a JSON form")
}

/// An object without fields.
pub(crate) fn empty() -> Value {
    Value::Object(Map::new())
}
