//! Kubernetes' strategic merge, for pods: a patch says what differs, and lists are merged element by element where their
//! elements have a name.
//!
//! `$patch: delete` and `$patch: replace` are followed, `null` removes a field. Only where a merged list or the labels and
//! annotations would go as a whole, `null` does nothing: a template leaves it behind when none of its conditions hold.

use serde_json::{Map, Value};

use crate::json;

/// The lists whose elements are merged one by one, and the field that tells which belong together.
const MERGED_LISTS: [(&str, &str); 14] = [
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("volumes", "name"),
    ("env", "name"),
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("schedulingGates", "name"),
    ("resourceClaims", "name"),
    ("ownerReferences", "uid"),
];
const KEPT_MAPS: [&str; 4] = ["metadata", "spec", "labels", "annotations"];
const DIRECTIVE: &str = "$patch";

/// A patch that cannot be followed: the field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) place: String,
    pub(crate) message: String,
}

/// The field by which the elements of the list `name` belong together; `None` if the list is replaced as a whole.
pub(crate) fn key_of(name: &str) -> Option<&'static str> {
    let found = MERGED_LISTS.iter().find(|(list, _)| *list == name);
    found.map(|(_, key)| *key)
}

/// Lays `patch` over `base`.
///
/// # Errors
/// If an element has no name, or a directive is not known. Part of the patch is then in `base`.
pub(crate) fn merge(base: &mut Value, patch: Value, place: &str) -> Result<(), Mistake> {
    let Value::Object(mut patch) = patch else {
        *base = patch;
        return Ok(());
    };
    match directive(&mut patch, place)? {
        Directive::Merge => {}
        Directive::Replace => *base = Value::Object(Map::new()),
        Directive::Delete => {
            *base = Value::Object(Map::new());
            return Ok(());
        }
    }
    if !base.is_object() {
        *base = Value::Object(Map::new());
    }
    let fields = json::object(base, &[]);
    for (name, value) in patch {
        let place = if place.is_empty() {
            name.clone()
        } else {
            format!("{place}.{name}")
        };
        merge_field(fields, &name, value, &place)?;
    }
    Ok(())
}

fn merge_field(
    base: &mut Map<String, Value>,
    name: &str,
    value: Value,
    place: &str,
) -> Result<(), Mistake> {
    match (value, key_of(name)) {
        (Value::Null, Some(_)) => {}
        (Value::Null, None) if KEPT_MAPS.contains(&name) => {}
        (Value::Null, None) => drop(base.shift_remove(name)),
        (Value::Array(items), Some(key)) => {
            let slot = base.entry(name).or_insert(Value::Null);
            if !slot.is_array() {
                *slot = Value::Array(Vec::new());
            }
            if let Some(list) = slot.as_array_mut() {
                merge_list(list, items, key, name == "env", place)?;
            }
        }
        (value @ Value::Object(_), _) => {
            merge(base.entry(name).or_insert(Value::Null), value, place)?
        }
        (value, _) => drop(base.insert(name.to_owned(), value)),
    }
    Ok(())
}

/// With `replaces` an element of the same key is replaced: a variable has a value or a source of one, not both.
fn merge_list(
    list: &mut Vec<Value>,
    items: Vec<Value>,
    key: &str,
    replaces: bool,
    place: &str,
) -> Result<(), Mistake> {
    for (index, mut item) in items.into_iter().enumerate() {
        let place = format!("{place}[{index}]");
        let directive = match &mut item {
            Value::Object(fields) => directive(fields, &place)?,
            _ => Directive::Merge,
        };
        let is_bare = item.as_object().is_some_and(Map::is_empty);
        if is_bare && directive == Directive::Replace {
            list.clear();
            continue;
        }
        let Some(name) = item.get(key).filter(|name| !name.is_null()).cloned() else {
            let message = format!("an element must have the field `{key}`");
            return Err(Mistake { place, message });
        };
        let found = list.iter().position(|own| own.get(key) == Some(&name));
        match (directive, found) {
            (Directive::Delete, Some(index)) => drop(list.remove(index)),
            (Directive::Delete, None) => {}
            (Directive::Merge, Some(index)) if !replaces => merge(&mut list[index], item, &place)?,
            (_, Some(index)) => list[index] = item,
            (_, None) => {
                let mut fresh = Value::Null;
                merge(&mut fresh, item, &place)?;
                list.push(fresh);
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Takes the directive out of an object.
fn directive(fields: &mut Map<String, Value>, place: &str) -> Result<Directive, Mistake> {
    let mistake = |message: String| Mistake {
        place: place.to_owned(),
        message,
    };
    let directive = match fields.shift_remove(DIRECTIVE) {
        None => Directive::Merge,
        Some(value) => match value.as_str() {
            Some("merge") => Directive::Merge,
            Some("replace") => Directive::Replace,
            Some("delete") => Directive::Delete,
            _ => {
                return Err(mistake(format!(
                    "{DIRECTIVE} is merge, replace or delete, not {value}"
                )));
            }
        },
    };
    match fields.keys().find(|name| name.starts_with('$')) {
        Some(name) => Err(mistake(format!("the directive `{name}` is not supported"))),
        None => Ok(directive),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(mut base: Value, patch: Value) -> Result<Value, String> {
        merge(&mut base, patch, "")
            .map_err(|mistake| format!("{}: {}", mistake.place, mistake.message))?;
        Ok(base)
    }

    #[test]
    fn lists_are_merged_by_their_keys() {
        let base = json!({"spec": {
            "containers": [{"name": "a", "args": ["x"], "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                            "ports": [{"containerPort": 80}]}, {"name": "b"}],
            "tolerations": [{"key": "x"}], "volumes": [{"name": "v", "emptyDir": {}}]}});
        let patch = json!({"metadata": {"labels": {"l": "1"}}, "spec": {
            "containers": [{"name": "c", "image": "i", "tty": null},
                           {"name": "a", "args": ["y"], "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
                            "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]}],
            "tolerations": [{"key": "y"}], "volumes": [{"name": "w"}], "hostname": "h"}});
        let expected = json!({"metadata": {"labels": {"l": "1"}}, "spec": {
            "containers": [{"name": "a", "args": ["y"],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
                            "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]},
                           {"name": "b"}, {"name": "c", "image": "i"}],
            "tolerations": [{"key": "y"}], "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w"}], "hostname": "h"}});
        assert_eq!(merged(base, patch), Ok(expected));
    }

    #[test]
    fn what_is_to_go_is_named() {
        let base = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"hostname": "h",
            "containers": [{"name": "a", "image": "i", "resources": {"limits": {"cpu": "1"}}}, {"name": "b", "image": "i"}]}});
        let rows = [
            (
                json!({"spec": {"hostname": null}}),
                "/spec/hostname",
                Value::Null,
            ),
            (
                json!({"metadata": {"labels": {"a": null}}}),
                "/metadata/labels",
                json!({"b": "2"}),
            ),
            (
                json!({"metadata": {"labels": null}}),
                "/metadata/labels",
                json!({"a": "1", "b": "2"}),
            ),
            (
                json!({"spec": {"containers": null}}),
                "/spec/containers/1/name",
                json!("b"),
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}),
                "/spec/containers/0/name",
                json!("b"),
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "$patch": "replace"}]}}),
                "/spec/containers/0",
                json!({"name": "a"}),
            ),
            (
                json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}),
                "/spec/containers",
                json!([{"name": "c"}]),
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "resources": {"$patch": "replace", "limits": {}}}]}}),
                "/spec/containers/0/resources",
                json!({"limits": {}}),
            ),
        ];
        for (patch, pointer, expected) in rows {
            let merged = merged(base.clone(), patch.clone()).expect("a patch");
            assert_eq!(
                merged.pointer(pointer).unwrap_or(&Value::Null),
                &expected,
                "{patch}"
            );
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        let rows = [
            (
                json!({"spec": {"containers": [{"image": "x"}]}}),
                "spec.containers[0]: an element must have the field `name`",
            ),
            (
                json!({"spec": {"volumes": ["x"]}}),
                "spec.volumes[0]: an element must have the field `name`",
            ),
            (
                json!({"spec": {"$patch": "away"}}),
                "spec: $patch is merge, replace or delete, not \"away\"",
            ),
            (
                json!({"spec": {"$setElementOrder/containers": []}}),
                "spec: the directive `$setElementOrder/containers` is not supported",
            ),
        ];
        for (patch, expected) in rows {
            assert_eq!(merged(json!({}), patch), Err(expected.to_owned()));
        }
    }
}
