//! Which webhook would put the sidecar into a pod, and why or why not.
//!
//! Two questions, as on the way of a real pod: whether the API server would call the webhook, which its selectors say as they
//! are in the cluster; then what the webhook would decide, which the injector's own code says.

use std::collections::BTreeMap;

use mesh_api::k8s::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration,
};
use mesh_api::k8s::api::core::v1::Pod;
use mesh_injector::{Decision, NamespaceFacts, Outcome, Settings, decide, inject_json};
use mesh_model::annotation::{INJECT, INJECTION, REVISION};
use serde_json::{Value, json};

use super::labels::{Labels, asked, takes, unwanted, wanted};

/// How the names of injection webhooks end, Istio's as ours.
const SUFFIX: &str = "istio.io";
/// A selector that is meant to match nothing asks for this label.
const NEVER: &str = "istio.io/deactivated";

/// What would be created.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Where.
    pub(crate) namespace: NamespaceFacts,
    /// The pod; only its metadata if nothing else is known.
    pub(crate) pod: Value,
}

/// What one webhook would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Name of its configuration.
    pub(crate) webhook: String,
    /// The revision that it belongs to.
    pub(crate) revision: String,
    /// Whether it would inject.
    pub(crate) injected: bool,
    /// Why, or why not.
    pub(crate) reason: String,
}

/// The configurations among `all` that are for injection, by name.
pub(crate) fn injectors(
    mut all: Vec<MutatingWebhookConfiguration>,
) -> Vec<MutatingWebhookConfiguration> {
    all.retain(|one| {
        let mut entries = one.webhooks.iter().flatten();
        entries.any(|entry| entry.name.ends_with(SUFFIX))
    });
    all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    all
}

/// The revision that a configuration belongs to.
pub(crate) fn revision(configuration: &MutatingWebhookConfiguration) -> &str {
    let labels = configuration.metadata.labels.as_ref();
    let revision = labels.and_then(|labels| labels.get(REVISION));
    revision.map_or("", String::as_str)
}

/// What each of `configurations` would do. `settings` are those of the webhooks, by revision; where they are not known, only
/// the selectors are looked at.
pub(crate) fn verdicts(
    configurations: &[MutatingWebhookConfiguration],
    subject: &Subject,
    settings: &BTreeMap<String, Settings>,
) -> Vec<Verdict> {
    let labels = labels(&subject.pod);
    let of = |configuration: &MutatingWebhookConfiguration| {
        let entries = configuration.webhooks.as_deref().unwrap_or_default();
        let revision = revision(configuration);
        let selected = select(entries, &labels, &subject.namespace.labels);
        let (injected, reason) = match (selected, settings.get(revision)) {
            (Ok(reason), Some(settings)) => match against(subject, settings) {
                None => (true, reason),
                Some(against) => (false, format!("{reason}, but {against}")),
            },
            (Ok(reason), None) => (true, reason),
            (Err(reason), _) => (false, reason),
        };
        Verdict {
            webhook: configuration.metadata.name.clone().unwrap_or_default(),
            revision: revision.to_owned(),
            injected,
            reason,
        }
    };
    configurations.iter().map(of).collect()
}

/// True if neither the namespace nor the pod says anything about injection.
pub(crate) fn nobody_asks(subject: &Subject) -> bool {
    let pod = labels(&subject.pod);
    let namespace = &subject.namespace.labels;
    let says = |labels: &Labels, keys: [&str; 2]| keys.iter().any(|key| labels.contains_key(*key));
    !says(namespace, [INJECTION, REVISION]) && !says(&pod, [INJECT, REVISION])
}

fn labels(pod: &Value) -> Labels {
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object);
    let pairs = labels.into_iter().flatten();
    let pairs = pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    pairs.collect()
}

/// Whether the API server would call one of `entries`; the reason in either case.
fn select(entries: &[MutatingWebhook], pod: &Labels, namespace: &Labels) -> Result<String, String> {
    let matches = |entry: &MutatingWebhook| {
        (
            takes(entry.namespace_selector.as_ref(), namespace),
            takes(entry.object_selector.as_ref(), pod),
        )
    };
    let selected = entries.iter().find(|entry| matches(entry) == (true, true));
    if let Some(entry) = selected {
        let of_namespace = asked(entry.namespace_selector.as_ref(), namespace);
        let of_pod = asked(entry.object_selector.as_ref(), pod);
        return Ok(match (of_namespace, of_pod) {
            (Some(namespace), Some(pod)) => {
                format!("Namespace label {namespace} matches, and pod label {pod} matches")
            }
            (Some(namespace), None) => format!("Namespace label {namespace} matches"),
            (None, Some(pod)) => format!("Pod label {pod} matches"),
            (None, None) => "Every namespace and pod without a label matches".to_owned(),
        });
    }
    let prevented = entries.iter().find_map(|entry| match matches(entry) {
        (true, false) => {
            let label = unwanted(entry.object_selector.as_ref(), pod)?;
            Some(format!("Pod has {label} label, preventing injection"))
        }
        (false, true) => {
            let value = namespace.get(INJECTION)?;
            (value != "enabled")
                .then(|| format!("Namespace has {INJECTION}={value} label, preventing injection"))
        }
        _ => None,
    });
    Err(prevented.unwrap_or_else(|| nothing_matches(entries)))
}

fn nothing_matches(entries: &[MutatingWebhook]) -> String {
    let all = |selector: fn(&MutatingWebhook) -> Vec<String>| {
        let labels: Vec<_> = entries.iter().flat_map(selector).collect();
        labels.join(", ")
    };
    let namespaces = all(|entry| wanted(entry.namespace_selector.as_ref()));
    let pods = all(|entry| wanted(entry.object_selector.as_ref()));
    if namespaces.contains(NEVER) && pods.contains(NEVER) {
        return "The injection webhook is deactivated, and will never match labels.".to_owned();
    }
    format!("No matching namespace labels ({namespaces}) or pod labels ({pods})")
}

/// What speaks against the pod once the webhook has it; `None` if nothing does.
fn against(subject: &Subject, settings: &Settings) -> Option<String> {
    let has_spec = subject.pod.get("spec").is_some();
    if has_spec && !has_sidecar(&subject.pod) {
        return match inject_json(&subject.pod, &subject.namespace, settings) {
            Ok(Outcome::Injected(_)) => None,
            Ok(Outcome::Skipped(skip)) => Some(skip.to_string()),
            Err(refused) => {
                let first = refused.problems.first()?;
                Some(format!(
                    "the pod is refused: {}: {}",
                    first.place, first.message
                ))
            }
        };
    }
    let pod = serde_json::from_value::<Pod>(subject.pod.clone()).unwrap_or_default();
    match decide(&pod, &subject.namespace, settings) {
        Decision::Inject(_) => None,
        Decision::Skip(skip) => Some(skip.to_string()),
    }
}

/// Whether a pod has the sidecar, classic or native.
pub(crate) fn has_sidecar(pod: &Value) -> bool {
    let places = ["/spec/containers", "/spec/initContainers"];
    places.iter().any(|place| {
        let containers = pod.pointer(place).and_then(Value::as_array);
        let mut containers = containers.into_iter().flatten();
        containers.any(|container| container["name"] == "istio-proxy")
    })
}

/// A pod of which only the labels are known.
pub(crate) fn labelled(labels: &Labels) -> Value {
    json!({ "metadata": { "labels": labels } })
}

#[cfg(test)]
mod tests;
