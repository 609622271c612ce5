//! Takes out of a pod what an earlier injection put in.
//!
//! The record in `sidecar.istio.io/status` says what was added, and the removed proxy's environment what was rewritten.
//! What is left is what the user wrote, so injecting again gives what injecting once gives, also when the settings have
//! changed in between.

use mesh_api::annotation as name;
use serde_json::{Map, Value};

use crate::template::{APP_PROBERS, PROMETHEUS_ANNOTATIONS, PROXY};
use crate::{Problem, SidecarStatus, json, metrics, probes};

/// `pod` as it was before it was injected; unchanged if it never was.
pub(crate) fn strip(pod: &Value, problems: &mut Vec<Problem>) -> Value {
    let mut bare = pod.clone();
    let pointer = format!("/metadata/annotations/{}", name::STATUS.replace('/', "~1"));
    let Some(text) = pod.pointer(&pointer).and_then(Value::as_str) else {
        return bare;
    };
    match serde_json::from_str::<SidecarStatus>(text) {
        Ok(status) => undo(&mut bare, &status),
        Err(error) => problems.push(
            Problem::new(
                format!("metadata.annotations[{}]", name::STATUS),
                format!("not what an injection writes: {error}"),
            )
            .hint("remove the annotation if the pod was never injected"),
        ),
    }
    bare
}

fn undo(pod: &mut Value, status: &SidecarStatus) {
    probes::restore(pod, &old_env(pod, APP_PROBERS));
    metrics::restore(pod, &old_env(pod, PROMETHEUS_ANNOTATIONS));
    let lists = [
        ("initContainers", &status.init_containers),
        ("containers", &status.containers),
        ("volumes", &status.volumes),
        ("imagePullSecrets", &status.image_pull_secrets),
    ];
    for (field, names) in lists {
        let names = names.as_deref().unwrap_or_default();
        json::remove_from_list(pod, field, |item| {
            names.iter().any(|name| json::name_of(item) == name)
        });
    }
    let annotations = json::object(pod, &["metadata", "annotations"]);
    annotations.shift_remove(name::STATUS);
    annotations.shift_remove(name::REVISION);
}

/// The JSON object in variable `name` of the injected proxy; empty if there is none.
fn old_env(pod: &Value, name: &str) -> Map<String, Value> {
    let lists = ["/spec/containers", "/spec/initContainers"];
    let containers = lists
        .iter()
        .filter_map(|list| pod.pointer(list)?.as_array())
        .flatten();
    let proxy = containers.filter(|container| json::name_of(container) == PROXY);
    let mut variables = proxy
        .filter_map(|container| container.get("env")?.as_array())
        .flatten();
    let text = variables
        .find(|variable| json::name_of(variable) == name)
        .and_then(|found| found.get("value"));
    let text = text.and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}
