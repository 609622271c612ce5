//! The application's probes, sent through the agent.
//!
//! The kubelet's connections would reach the proxy, which asks for mutual TLS where policy says so. Therefore each HTTP,
//! TCP and gRPC probe becomes an HTTP request to the agent's port, which no rule captures, and the agent does the probe
//! from inside the pod. What it has to do travels in `ISTIO_KUBE_APP_PROBERS`, keyed by the path that the kubelet asks
//! for. `exec` probes stay as they are.

use std::collections::BTreeMap;

use mesh_model::port;
use serde_json::{Map, Value, json};

use crate::json;

const PROBES: [(&str, &str); 3] = [
    ("readinessProbe", "readyz"),
    ("livenessProbe", "livez"),
    ("startupProbe", "startupz"),
];
const HOOKS: [(&str, &str); 2] = [("preStop", "prestopz"), ("postStart", "poststartz")];
const ACTIONS: [&str; 3] = ["httpGet", "tcpSocket", "grpc"];

/// Rewrites every probe of `pod` that can be; returns what the agent has to do, by path. Probes that cannot be rewritten
/// are left alone and named in `warnings`.
///
/// Init containers that stay are asked by the agent only beside a `native` proxy: a classic one starts after them, and an
/// init container that waits for the answer of an agent which is not there yet would hold the pod for ever.
pub(crate) fn rewrite(
    pod: &mut Value,
    status_port: u16,
    native: bool,
    warnings: &mut Vec<String>,
) -> Map<String, Value> {
    let mut probers = Map::new();
    for (is_init, container) in containers(pod) {
        if is_init && !native {
            continue;
        }
        let ports = named_ports(container);
        each_handler(container, |place, path, handler| {
            match rewrite_handler(handler, &path, &ports, status_port) {
                Ok(Some(original)) => drop(probers.insert(path, original)),
                Ok(None) => {}
                Err(name) => warnings.push(format!(
                    "{place}: no port of the container is named `{name}`; the probe is left as it is and will fail"
                )),
            }
        });
    }
    probers
}

/// Undoes [`rewrite`].
pub(crate) fn restore(pod: &mut Value, probers: &Map<String, Value>) {
    for (_, container) in containers(pod) {
        each_handler(container, |_, path, handler| {
            let is_ours =
                handler.get("httpGet").and_then(|get| get.get("path")) == Some(&json!(path));
            let original = probers.get(&path).and_then(Value::as_object);
            if let (true, Some(original)) = (is_ours, original) {
                let actions = original
                    .iter()
                    .filter(|(name, _)| ACTIONS.contains(&name.as_str()));
                for (name, action) in actions {
                    replace_action(handler, "httpGet", name, action.clone());
                }
            }
        });
    }
}

/// The containers that have probes, and whether each is an init container: all but init containers that end.
fn containers(pod: &mut Value) -> impl Iterator<Item = (bool, &mut Value)> {
    let spec = pod.get_mut("spec").and_then(Value::as_object_mut);
    let lists = spec
        .into_iter()
        .flatten()
        .filter_map(|(name, list)| match name.as_str() {
            "containers" => Some((false, list.as_array_mut()?)),
            "initContainers" => Some((true, list.as_array_mut()?)),
            _ => None,
        });
    lists.flat_map(|(is_init, list)| {
        list.iter_mut()
            .filter(move |container| !is_init || container["restartPolicy"] == "Always")
            .map(move |container| (is_init, container))
    })
}

/// Calls `visit` with the place, the agent's path and the handler of each probe and hook.
fn each_handler(
    container: &mut Value,
    mut visit: impl FnMut(String, String, &mut Map<String, Value>),
) {
    let name = json::name_of(container).to_owned();
    for (field, leaf) in PROBES {
        if let Some(handler) = container.get_mut(field).and_then(Value::as_object_mut) {
            visit(
                format!("container {name}, {field}"),
                format!("/app-health/{name}/{leaf}"),
                handler,
            );
        }
    }
    for (field, leaf) in HOOKS {
        let hook = container
            .get_mut("lifecycle")
            .and_then(|hooks| hooks.get_mut(field));
        if let Some(handler) = hook.and_then(Value::as_object_mut) {
            visit(
                format!("container {name}, lifecycle.{field}"),
                format!("/app-lifecycle/{name}/{leaf}"),
                handler,
            );
        }
    }
}

/// Rewrites one handler and returns the original, or `None` if it is to stay.
///
/// # Errors
/// The name of a port that the container does not have.
fn rewrite_handler(
    handler: &mut Map<String, Value>,
    path: &str,
    ports: &BTreeMap<String, u16>,
    status_port: u16,
) -> Result<Option<Value>, String> {
    let Some(kind) = ACTIONS
        .into_iter()
        .find(|kind| handler.get(*kind).is_some_and(Value::is_object))
    else {
        return Ok(None);
    };
    let mut action = handler[kind].clone();
    let port = match &action["port"] {
        Value::String(name) => *ports.get(name).ok_or(name)?,
        number => number
            .as_u64()
            .and_then(|number| u16::try_from(number).ok())
            .unwrap_or(0),
    };
    if [0, port::HEALTH, status_port].contains(&port) {
        return Ok(None);
    }
    action["port"] = port.into();
    let mut asked = json!({"path": path, "port": status_port, "scheme": "HTTP"});
    if let Some(headers) = action.get("httpHeaders") {
        asked["httpHeaders"] = headers.clone();
    }
    replace_action(handler, kind, "httpGet", asked);
    let mut original = json!({ kind: action });
    if let Some(timeout) = handler.get("timeoutSeconds") {
        original["timeoutSeconds"] = timeout.clone();
    }
    Ok(Some(original))
}

/// Replaces an action by another; in place if both are of the same kind.
fn replace_action(handler: &mut Map<String, Value>, from: &str, to: &str, action: Value) {
    if from != to {
        handler.shift_remove(from);
    }
    handler.insert(to.to_owned(), action);
}

fn named_ports(container: &Value) -> BTreeMap<String, u16> {
    let ports = container
        .get("ports")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let named = ports.filter_map(|port| {
        let number = u16::try_from(port.get("containerPort")?.as_u64()?).ok()?;
        Some((port.get("name")?.as_str()?.to_owned(), number))
    });
    named.collect()
}

#[cfg(test)]
mod tests;
