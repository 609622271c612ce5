//! Where the injected containers stand among those of the pod.
//!
//! *Classic*: `istio-init` after the user's init containers, so that these still have the plain network (`istio-validation`,
//! which stands for it where a CNI plugin has set the rules before any container, is the first); `istio-proxy`
//! after the user's containers, or before them when the application is to wait. *Native*: both before the user's init
//! containers, the proxy as one that keeps running, so that init containers have the mesh and jobs can end.

use serde_json::Value;

use crate::json;
use crate::layers::Slots;
use crate::overrides::Overrides;
use crate::template::{INIT, VALIDATION};

/// Puts the containers, changed by the user's overrides, into `pod`. `hold`: the application waits for the proxy.
pub(crate) fn place(
    pod: &mut Value,
    slots: Slots,
    overrides: &Overrides,
    hold: bool,
    warnings: &mut Vec<String>,
) {
    let overridden = |container: Value| overrides.apply(container);
    let init = slots.init.map(overridden);
    let proxy = slots.proxy.map(overridden);
    for name in [INIT, VALIDATION] {
        let is_there = init
            .as_ref()
            .is_some_and(|init| json::name_of(init) == name);
        if !is_there && overrides.names().any(|own| own == name) {
            warnings.push(format!(
                "container {name}: it has nothing to do here, so it is left out"
            ));
        }
    }
    if slots.native {
        place_native(pod, init, proxy);
    } else {
        place_classic(pod, init, proxy, hold);
    }
    if json::spec_list(pod, "initContainers").is_empty() {
        json::object(pod, &["spec"]).shift_remove("initContainers");
    }
}

fn place_native(pod: &mut Value, init: Option<Value>, proxy: Option<Value>) {
    let first = init.into_iter().chain(proxy);
    json::spec_list(pod, "initContainers").splice(..0, first);
}

fn place_classic(pod: &mut Value, init: Option<Value>, proxy: Option<Value>, hold: bool) {
    if let Some(proxy) = proxy {
        let list = json::spec_list(pod, "containers");
        list.insert(if hold { 0 } else { list.len() }, proxy);
    }
    if let Some(init) = init {
        // What only verifies does so before anything else runs.
        let list = json::spec_list(pod, "initContainers");
        let verifies = json::name_of(&init) == VALIDATION;
        list.insert(if verifies { 0 } else { list.len() }, init);
    }
}
