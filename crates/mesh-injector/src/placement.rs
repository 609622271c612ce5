//! Where the injected containers stand among those of the pod, and the record of what was added.
//!
//! *Classic*: `istio-init` after the user's init containers, so that these still have the plain network; `istio-proxy`
//! after the user's containers, or before them when the application is to wait. *Native*: both before the user's init
//! containers, the proxy as one that keeps running, so that init containers have the mesh and jobs can end.

use mesh_api::k8s::api::core::v1::Container;
use serde_json::{Value, json};

use crate::annotations::Annotations;
use crate::template::Rendered;
use crate::{Settings, SidecarStatus, json};

/// Puts `rendered` into `pod` and says what was added.
pub(crate) fn place(
    pod: &mut Value,
    rendered: Rendered,
    annotations: &Annotations,
    settings: &Settings,
) -> SidecarStatus {
    let hold = annotations.config.hold_application_until_proxy_starts;
    let Rendered {
        init,
        proxy,
        volumes,
    } = rendered;
    let (mut init_names, mut names) = (Vec::new(), Vec::new());
    if annotations.native {
        let first: Vec<Container> = init.into_iter().chain([proxy]).collect();
        init_names.extend(first.iter().map(|container| container.name.clone()));
        let list = json::list(pod, &["spec", "initContainers"]);
        list.splice(..0, first.iter().map(json::to_json));
    } else {
        if let Some(init) = init {
            json::list(pod, &["spec", "initContainers"]).push(json::to_json(&init));
            init_names.push(init.name);
        }
        let list = json::list(pod, &["spec", "containers"]);
        list.insert(if hold { 0 } else { list.len() }, json::to_json(&proxy));
        names.push(proxy.name);
    }
    json::list(pod, &["spec", "volumes"]).extend(volumes.iter().map(json::to_json));
    let secrets = add_pull_secrets(pod, &settings.image_pull_secrets);
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    SidecarStatus {
        init_containers: some(init_names),
        containers: some(names),
        volumes: some(volumes.into_iter().map(|volume| volume.name).collect()),
        image_pull_secrets: some(secrets),
        revision: settings.revision.clone(),
    }
}

/// Adds the secrets that the pod does not have yet; returns those.
fn add_pull_secrets(pod: &mut Value, names: &[String]) -> Vec<String> {
    if names.is_empty() {
        return Vec::new();
    }
    let list = json::list(pod, &["spec", "imagePullSecrets"]);
    let missing: Vec<String> = names
        .iter()
        .filter(|name| !list.iter().any(|secret| json::name_of(secret) == *name))
        .cloned()
        .collect();
    list.extend(missing.iter().map(|name| json!({ "name": name })));
    missing
}
