//! Where the injected containers stand among those of the pod, and the record of what was added.
//!
//! *Classic*: `istio-init` after the user's init containers, so that these still have the plain network; `istio-proxy`
//! after the user's containers, or before them when the application is to wait. *Native*: both before the user's init
//! containers, the proxy as one that keeps running, so that init containers have the mesh and jobs can end.

use mesh_api::k8s::api::core::v1::Container;
use serde_json::{Value, json};

use crate::template::{INIT, Input, Rendered};
use crate::{SidecarStatus, json};

/// Puts `rendered`, changed by the user's overrides, into `pod` and says what was added.
pub(crate) fn place(
    pod: &mut Value,
    rendered: Rendered,
    input: &Input<'_>,
    warnings: &mut Vec<String>,
) -> SidecarStatus {
    let Rendered {
        init,
        proxy,
        volumes,
    } = rendered;
    let overridden = |container: &Container| input.overrides.apply(json::to_json(container));
    let init = init.as_ref().map(overridden);
    let proxy = overridden(&proxy);
    if init.is_none() && input.overrides.names().any(|name| name == INIT) {
        warnings.push(format!(
            "container {INIT}: nothing is captured, so the container is left out"
        ));
    }
    let (init_containers, containers) = if input.annotations.native {
        (place_native(pod, init, proxy), Vec::new())
    } else {
        place_classic(
            pod,
            init,
            proxy,
            input.annotations.config.hold_application_until_proxy_starts,
        )
    };
    json::spec_list(pod, "volumes").extend(volumes.iter().map(json::to_json));
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    SidecarStatus {
        init_containers: some(init_containers),
        containers: some(containers),
        volumes: some(volumes.into_iter().map(|volume| volume.name).collect()),
        image_pull_secrets: some(add_pull_secrets(pod, &input.settings.image_pull_secrets)),
        revision: input.settings.revision.clone(),
    }
}

/// Names of the added init containers.
fn place_native(pod: &mut Value, init: Option<Value>, proxy: Value) -> Vec<String> {
    let first: Vec<Value> = init.into_iter().chain([proxy]).collect();
    let names = first
        .iter()
        .map(|container| json::name_of(container).to_owned())
        .collect();
    json::spec_list(pod, "initContainers").splice(..0, first);
    names
}

/// Names of the added init containers and containers.
fn place_classic(
    pod: &mut Value,
    init: Option<Value>,
    proxy: Value,
    hold: bool,
) -> (Vec<String>, Vec<String>) {
    let init_names = init
        .iter()
        .map(|container| json::name_of(container).to_owned())
        .collect();
    let names = vec![json::name_of(&proxy).to_owned()];
    let list = json::spec_list(pod, "containers");
    list.insert(if hold { 0 } else { list.len() }, proxy);
    if let Some(init) = init {
        json::spec_list(pod, "initContainers").push(init);
    }
    (init_names, names)
}

/// Adds the secrets that the pod does not have yet; returns those.
fn add_pull_secrets(pod: &mut Value, names: &[String]) -> Vec<String> {
    if names.is_empty() {
        return Vec::new();
    }
    let list = json::spec_list(pod, "imagePullSecrets");
    let missing: Vec<String> = names
        .iter()
        .filter(|name| !list.iter().any(|secret| json::name_of(secret) == *name))
        .cloned()
        .collect();
    list.extend(missing.iter().map(|name| json!({ "name": name })));
    missing
}
