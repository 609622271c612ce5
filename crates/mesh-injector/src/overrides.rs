//! The user's own fields of injected containers.
//!
//! A pod may hold a container named `istio-proxy`, `istio-init` or `istio-validation` with just the fields that should differ, such as
//! resources or a volume mount. It is taken out before the template is rendered, laid over the rendered container, and
//! recorded in `proxy.istio.io/overrides`, so that injecting again finds it.

use std::collections::BTreeMap;

use mesh_api::annotation::PROXY_OVERRIDES;
use mesh_api::k8s::api::core::v1::Container;
use mesh_api::manifest::typed_value;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::merge::key_of;
use crate::template::{INIT, PROXY, VALIDATION};
use crate::{Problem, json};

/// An image that leaves the choice to the template.
const AUTO: &str = "auto";

/// What a probe or a hook does: each has one of these.
const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// Containers of the user that stand for injected ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Overrides {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    init_containers: Vec<Value>,
}

impl Overrides {
    /// Takes the overrides out of `pod`: those among its containers, and those that an earlier injection recorded.
    pub(crate) fn take(pod: &mut Value, problems: &mut Vec<Problem>) -> Self {
        let annotations = json::object(pod, &["metadata", "annotations"]);
        let recorded = annotations.shift_remove(PROXY_OVERRIDES);
        let recorded = recorded.map_or(Ok(Self::default()), |text| {
            Self::read(text.as_str().unwrap_or_default())
        });
        let mut overrides = recorded.unwrap_or_else(|message| {
            let place = format!("metadata.annotations[{PROXY_OVERRIDES}]");
            problems.push(Problem::new(place, message));
            Self::default()
        });
        overrides.containers.extend(take_from(pod, "containers"));
        overrides
            .init_containers
            .extend(take_from(pod, "initContainers"));
        overrides
    }

    /// Reads the annotation; what it holds must be containers, as it may have been written by hand.
    fn read(text: &str) -> Result<Self, String> {
        let overrides: Self =
            serde_json::from_str(text).map_err(|error| format!("not containers: {error}"))?;
        for container in overrides
            .containers
            .iter()
            .chain(&overrides.init_containers)
        {
            typed_value::<Container>(container).map_err(|reason| reason.to_string())?;
        }
        Ok(overrides)
    }

    /// The text of the annotation; `None` if there is nothing to record.
    pub(crate) fn record(&self) -> Option<String> {
        (*self != Self::default()).then(|| json::to_json(self).to_string())
    }

    /// Lays the user's fields over a rendered container.
    pub(crate) fn apply(&self, rendered: Value) -> Value {
        let same_name = |own: &&Value| json::name_of(own) == json::name_of(&rendered);
        let own: Vec<&Value> = self
            .containers
            .iter()
            .chain(&self.init_containers)
            .filter(same_name)
            .collect();
        own.into_iter().fold(rendered, |mut container, own| {
            merge(&mut container, own);
            container
        })
    }

    /// Puts the containers of this name back into each of `pods`: nothing is injected that they could change.
    pub(crate) fn put_back(&mut self, pods: [&mut Value; 2], name: &str) {
        let [first, second] = pods;
        let lists = [
            (&mut self.containers, "containers"),
            (&mut self.init_containers, "initContainers"),
        ];
        for (own, list) in lists {
            let is_it = |container: &mut Value| json::name_of(container) == name;
            let found: Vec<Value> = own.extract_if(.., is_it).collect();
            if !found.is_empty() {
                json::spec_list(first, list).extend(found.iter().cloned());
                json::spec_list(second, list).extend(found);
            }
        }
    }

    /// Names of containers that are overridden.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.containers
            .iter()
            .chain(&self.init_containers)
            .map(json::name_of)
    }
}

fn take_from(pod: &mut Value, list: &str) -> Vec<Value> {
    let is_ours = |container: &Value| [PROXY, INIT, VALIDATION].contains(&json::name_of(container));
    let items = pod
        .pointer(&format!("/spec/{list}"))
        .and_then(Value::as_array);
    let taken = items
        .into_iter()
        .flatten()
        .filter(|container| is_ours(container))
        .cloned()
        .collect();
    json::remove_from_list(pod, list, is_ours);
    taken
}

fn merge(base: &mut Value, own: &Value) {
    let (Value::Object(base), Value::Object(own)) = (base, own) else {
        return;
    };
    // A probe or a hook with two handlers, or with one put together of two, is what nobody wrote.
    if HANDLERS
        .iter()
        .any(|handler| own.get(*handler).is_some_and(Value::is_object))
    {
        base.retain(|name, _| !HANDLERS.contains(&name.as_str()));
    }
    for (name, value) in own {
        merge_field(base, name, value);
    }
}

/// What the user sets wins; objects are merged field by field, some lists element by element.
fn merge_field(base: &mut Map<String, Value>, name: &str, own: &Value) {
    if own.is_null() || name == "image" && own == AUTO {
        return;
    }
    match (base.get_mut(name), own, key_of(name)) {
        (Some(Value::Array(base)), Value::Array(own), Some(key)) => merge_list(base, own, key),
        (Some(base @ Value::Object(_)), Value::Object(_), _) => merge(base, own),
        _ => drop(base.insert(name.to_owned(), own.clone())),
    }
}

/// An element with the same key is replaced where it stands, others are added.
fn merge_list(base: &mut Vec<Value>, own: &[Value], key: &str) {
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    by_key.extend(
        base.iter()
            .enumerate()
            .map(|(index, item)| (item[key].to_string(), index)),
    );
    for item in own {
        match by_key.get(&item[key].to_string()) {
            Some(index) => base[*index] = item.clone(),
            None => base.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_user_sets_wins_and_the_rest_is_the_template() {
        let mut pod = json!({"spec": {"containers": [
            {"name": "app", "image": "x"},
            {"name": "istio-proxy", "image": "auto", "resources": {"limits": {"cpu": "1"}}, "future": true,
             "env": [{"name": "A", "value": "own"}, {"name": "C", "value": "c"}],
             "volumeMounts": [{"name": "mine", "mountPath": "/mine"}], "args": ["x"]},
        ]}});
        let overrides = Overrides::take(&mut pod, &mut Vec::new());
        assert_eq!(
            pod["spec"]["containers"],
            json!([{"name": "app", "image": "x"}])
        );
        let rendered = json!({
            "name": "istio-proxy", "image": "mesh", "args": ["a", "b"],
            "env": [{"name": "A", "value": "a"}, {"name": "B", "value": "b"}],
            "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1m"}},
        });
        let expected = json!({
            "name": "istio-proxy", "image": "mesh", "args": ["x"], "future": true,
            "env": [{"name": "A", "value": "own"}, {"name": "B", "value": "b"}, {"name": "C", "value": "c"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}},
            "volumeMounts": [{"name": "mine", "mountPath": "/mine"}],
        });
        assert_eq!(overrides.apply(rendered), expected);
        let other = json!({"name": "istio-init", "image": "mesh"});
        assert_eq!(overrides.apply(other.clone()), other);
    }

    #[test]
    fn a_probe_or_a_hook_of_the_user_keeps_its_only_handler() {
        let ready = json!({"path": "/healthz/ready", "port": 15021});
        let rendered = json!({
            "name": "istio-proxy",
            "readinessProbe": {"httpGet": ready, "periodSeconds": 15},
            "startupProbe": {"httpGet": ready, "failureThreshold": 600},
            "lifecycle": {"preStop": {"exec": {"command": ["drain"]}}, "postStart": {"exec": {"command": ["wait"]}}},
        });
        let mut pod = json!({"spec": {"containers": [{
            "name": "istio-proxy",
            "readinessProbe": {"tcpSocket": {"port": 15006}},
            "startupProbe": {"httpGet": {"port": 15020}, "periodSeconds": 2},
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        }]}});
        let overrides = Overrides::take(&mut pod, &mut Vec::new());
        let expected = json!({
            "name": "istio-proxy",
            "readinessProbe": {"tcpSocket": {"port": 15006}, "periodSeconds": 15},
            "startupProbe": {"httpGet": {"port": 15020}, "failureThreshold": 600, "periodSeconds": 2},
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}, "postStart": {"exec": {"command": ["wait"]}}},
        });
        assert_eq!(overrides.apply(rendered), expected);
    }

    #[test]
    fn the_record_reads_back() {
        let mut pod = json!({"spec": {"initContainers": [{"name": "istio-init", "image": "own"}]}});
        let overrides = Overrides::take(&mut pod, &mut Vec::new());
        assert_eq!(pod["spec"], json!({}));
        let record = overrides.record().expect("something to record");
        assert_eq!(
            record,
            r#"{"initContainers":[{"name":"istio-init","image":"own"}]}"#
        );
        let mut again = json!({"metadata": {"annotations": {PROXY_OVERRIDES: record}}});
        assert_eq!(Overrides::take(&mut again, &mut Vec::new()), overrides);
        assert_eq!(Overrides::default().record(), None);
    }
}
