//! The templates of one pod, laid over it in their order.
//!
//! `istio-proxy` and `istio-init` are kept apart until all templates are done, so that a template may change them whichever
//! list they end up in and whether it comes before or after the built-in one. What the user's own containers say wins over
//! what templates say of them.

use mesh_api::k8s::api::core::v1::{Container, Pod};
use mesh_api::manifest::{Reason, typed_value};
use serde_json::{Value, json};

use crate::custom::{Custom, Layer, Renderer};
use crate::template::{self, INIT, Input, PROXY};
use crate::{Problem, json, merge};

const LISTS: [&str; 2] = ["initContainers", "containers"];

/// The containers that have their own place in a pod.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// `istio-init`
    pub(crate) init: Option<Value>,
    /// `istio-proxy`
    pub(crate) proxy: Option<Value>,
    /// The proxy is an init container that keeps running.
    pub(crate) native: bool,
}

/// True if the built-in template is among them.
pub(crate) fn has_sidecar(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| matches!(layer, Layer::Sidecar))
}

/// Lays the templates over `pod`.
pub(crate) fn lay(
    pod: &mut Value,
    input: &Input<'_>,
    layers: &[Layer],
    warnings: &mut Vec<String>,
) -> Result<Slots, Problem> {
    let bare = pod.clone();
    let has_sidecar = has_sidecar(layers);
    let mut slots = Slots {
        native: has_sidecar && input.annotations.native,
        ..Slots::default()
    };
    let mut renderer = None;
    for layer in layers {
        let Layer::Custom(custom) = layer else {
            slots.sidecar(pod, input)?;
            continue;
        };
        let renderer = match &mut renderer {
            Some(renderer) => renderer,
            none => none.insert(Renderer::new(input)?),
        };
        let mut part = renderer.render(custom, warnings)?;
        slots.take(&mut part, custom, has_sidecar)?;
        custom.merge(pod, part, "")?;
        slots.check(pod, custom)?;
        keep_users(pod, &bare);
    }
    Ok(slots)
}

impl Slots {
    fn sidecar(&mut self, pod: &mut Value, input: &Input<'_>) -> Result<(), Problem> {
        let rendered = template::render(input);
        let refuse = |mistake: merge::Mistake| Problem::new(mistake.place, mistake.message);
        if let Some(init) = &rendered.init {
            merge::merge(
                self.init.get_or_insert(Value::Null),
                json::to_json(init),
                INIT,
            )
            .map_err(refuse)?;
        }
        let proxy = json::to_json(&rendered.proxy);
        merge::merge(self.proxy.get_or_insert(Value::Null), proxy, PROXY).map_err(refuse)?;
        // The list stands before the volumes, as people write it.
        if self.native || self.init.is_some() {
            json::spec_list(pod, "initContainers");
        }
        let mut part = json!({"spec": {"volumes": json::to_json(&rendered.volumes)}});
        let secrets: Vec<Value> = input
            .settings
            .image_pull_secrets
            .iter()
            .map(|name| json!({"name": name}))
            .collect();
        if !secrets.is_empty() {
            part["spec"]["imagePullSecrets"] = secrets.into();
        }
        merge::merge(pod, part, "").map_err(refuse)
    }

    /// Takes what a template says of the containers with a place of their own out of its `part`.
    fn take(
        &mut self,
        part: &mut Value,
        custom: &Custom,
        has_sidecar: bool,
    ) -> Result<(), Problem> {
        for list in LISTS {
            let spec = part.get_mut("spec").and_then(Value::as_object_mut);
            let Some((spec, Value::Array(items))) = spec.and_then(|spec| {
                let items = spec.get(list)?.clone();
                Some((spec, items))
            }) else {
                continue;
            };
            let is_ours = |item: &Value| [PROXY, INIT].contains(&json::name_of(item));
            let (ours, others): (Vec<Value>, Vec<Value>) = items.into_iter().partition(is_ours);
            match ours.is_empty() || !others.is_empty() {
                true => drop(spec.insert(list.to_owned(), others.into())),
                false => drop(spec.shift_remove(list)),
            }
            for item in ours {
                if json::name_of(&item) == PROXY && !has_sidecar {
                    self.native = list == "initContainers";
                }
                self.fill(item, custom, list)?;
            }
        }
        Ok(())
    }

    fn fill(&mut self, item: Value, custom: &Custom, list: &str) -> Result<(), Problem> {
        let slot = match json::name_of(&item) {
            PROXY => &mut self.proxy,
            _ => &mut self.init,
        };
        let mut holder = json!({"containers": slot.take().into_iter().collect::<Vec<_>>()});
        custom.merge(
            &mut holder,
            json!({"containers": [item]}),
            &format!("spec.{list}"),
        )?;
        *slot = holder["containers"].as_array_mut().and_then(Vec::pop);
        Ok(())
    }

    /// What came out must be a pod still.
    fn check(&self, pod: &Value, custom: &Custom) -> Result<(), Problem> {
        let refuse = |place: &str, reason: Reason| {
            let message = match reason {
                Reason::Field { path, message } => format!("{place}{path}: {message}"),
                other => other.to_string(),
            };
            custom.problem("", format!("what it gives is not a pod: {message}"))
        };
        typed_value::<Pod>(pod).map_err(|reason| refuse("", reason))?;
        for container in self.init.iter().chain(&self.proxy) {
            let place = format!("container {}: ", json::name_of(container));
            typed_value::<Container>(container).map_err(|reason| refuse(&place, reason))?;
        }
        Ok(())
    }
}

/// Lays the user's containers over what has become of them.
fn keep_users(pod: &mut Value, bare: &Value) {
    for list in LISTS {
        let pointer = format!("/spec/{list}");
        let own = bare.pointer(&pointer).and_then(Value::as_array);
        let now = pod.pointer_mut(&pointer).and_then(Value::as_array_mut);
        let (Some(own), Some(now)) = (own, now) else {
            continue;
        };
        for container in own {
            let same = |other: &&mut Value| json::name_of(other) == json::name_of(container);
            if let Some(changed) = now
                .iter_mut()
                .find(same)
                .filter(|changed| *changed != container)
            {
                // A container that the API server has taken has names where they are needed; one that has none stays as it is.
                let mut both = changed.clone();
                *changed = match merge::merge(&mut both, container.clone(), "") {
                    Ok(()) => both,
                    Err(_) => container.clone(),
                };
            }
        }
    }
}
