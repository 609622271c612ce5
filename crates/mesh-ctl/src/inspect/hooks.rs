//! Which webhook each namespace's pods meet, and which control plane they have in fact.

use std::collections::BTreeMap;

use mesh_api::k8s::api::admissionregistration::v1::MutatingWebhookConfiguration;
use mesh_api::k8s::api::core::v1::Pod;
use mesh_injector::NamespaceFacts;
use mesh_model::annotation::INJECT;

use super::injection::revision;
use super::labels::{Labels, takes};
use super::pod;

/// What is told of pods without a sidecar.
const NO_SIDECAR: &str = "<non-Istio>";

/// A namespace with its pods.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Injected {
    /// Its name.
    pub(crate) namespace: String,
    /// The revision that its new pods get; empty for none.
    pub(crate) revision: String,
    /// Its pods by the revision that they have.
    pub(crate) pods: BTreeMap<String, Count>,
}

/// Pods of one revision.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// All of them.
    pub(crate) pods: usize,
    /// Those that do not want to be injected.
    pub(crate) disabled: usize,
    /// Those that would get another revision if they were made anew.
    pub(crate) needs_restart: usize,
}

/// The webhooks of `hooks` that a pod without labels meets in `namespace`.
pub(crate) fn of_namespace<'a>(
    hooks: &'a [MutatingWebhookConfiguration],
    namespace: &Labels,
) -> impl Iterator<Item = &'a MutatingWebhookConfiguration> {
    let nothing = Labels::new();
    hooks.iter().filter(move |hook| {
        let mut entries = hook.webhooks.iter().flatten();
        entries.any(|entry| {
            takes(entry.namespace_selector.as_ref(), namespace)
                && takes(entry.object_selector.as_ref(), &nothing)
        })
    })
}

/// Each of `namespaces` that is injected or has pods of the mesh.
pub(crate) fn injected(
    namespaces: &[NamespaceFacts],
    hooks: &[MutatingWebhookConfiguration],
    pods: &[Pod],
) -> Vec<Injected> {
    let of = |namespace: &NamespaceFacts| {
        let hook = of_namespace(hooks, &namespace.labels).next();
        let revision = hook.map_or("", revision);
        let of_namespace = |pod: &&Pod| pod.metadata.namespace.as_ref() == Some(&namespace.name);
        let mut counts: BTreeMap<String, Count> = BTreeMap::new();
        for pod in pods.iter().filter(of_namespace) {
            count(pod, revision, &mut counts);
        }
        Injected {
            namespace: namespace.name.clone(),
            revision: revision.to_owned(),
            pods: counts,
        }
    };
    let all = namespaces.iter().map(of);
    all.filter(|one| !one.revision.is_empty() || one.pods.keys().any(|of| of != NO_SIDECAR))
        .collect()
}

fn count(pod: &Pod, expected: &str, counts: &mut BTreeMap<String, Count>) {
    let facts = pod::Facts::of(pod);
    let has = match facts.is_meshed {
        true => facts.revision.as_str(),
        false => NO_SIDECAR,
    };
    let count = counts.entry(has.to_owned()).or_default();
    count.pods += 1;
    if !wants(pod) {
        count.disabled += 1;
    } else if has != expected && !(has == NO_SIDECAR && expected.is_empty()) {
        count.needs_restart += 1;
    }
}

/// Whether nothing on the pod itself speaks against injection.
fn wants(pod: &Pod) -> bool {
    let labels = pod.metadata.labels.as_ref();
    let annotations = pod.metadata.annotations.as_ref();
    let says = labels
        .and_then(|labels| labels.get(INJECT))
        .or_else(|| annotations.and_then(|annotations| annotations.get(INJECT)));
    let spec = pod.spec.as_ref();
    says.map(String::as_str) != Some("false")
        && spec.is_none_or(|spec| spec.host_network != Some(true))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hook(name: &str, revision: &str, namespaces: Value) -> MutatingWebhookConfiguration {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"istio.io/rev": revision}},
            "webhooks": [{"name": "x.istio.io", "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": [],
                "namespaceSelector": {"matchLabels": namespaces},
                "objectSelector": {"matchExpressions": [{"key": INJECT, "operator": "NotIn", "values": ["false"]}]}}],
        }))
        .expect("a webhook")
    }

    fn pod(revision: Option<&str>, labels: Value) -> Pod {
        let mut pod = json!({"metadata": {"namespace": "shop", "labels": labels}, "spec": {"containers": [{"name": "web"}]}});
        if let Some(revision) = revision {
            pod["metadata"]["annotations"] = json!({"istio.io/rev": revision});
            pod["spec"]["containers"] = json!([{"name": "web"}, {"name": "istio-proxy"}]);
        }
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn pods_are_counted_by_what_they_have_and_what_they_would_get() {
        let hooks = [
            hook("a", "default", json!({"istio-injection": "enabled"})),
            hook("b", "canary", json!({"istio.io/rev": "canary"})),
        ];
        let namespace = |name: &str, labels: &[(&str, &str)]| NamespaceFacts {
            name: name.into(),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
        };
        let namespaces = [
            namespace("shop", &[("istio.io/rev", "canary")]),
            namespace("empty", &[("istio-injection", "enabled")]),
            namespace("plain", &[]),
        ];
        let pods = [
            pod(Some("canary"), json!({})),
            pod(Some("default"), json!({})),
            pod(None, json!({})),
            pod(None, json!({INJECT: "false"})),
        ];
        let count = |pods, disabled, needs_restart| Count {
            pods,
            disabled,
            needs_restart,
        };
        let found = injected(&namespaces, &hooks, &pods);
        let names: Vec<_> = found
            .iter()
            .map(|one| (&*one.namespace, &*one.revision))
            .collect();
        assert_eq!(names, [("shop", "canary"), ("empty", "default")]);
        let expected = [
            (NO_SIDECAR, count(2, 1, 1)),
            ("canary", count(1, 0, 0)),
            ("default", count(1, 0, 1)),
        ];
        let expected = expected.map(|(of, count)| (of.to_owned(), count));
        assert_eq!(found[0].pods, BTreeMap::from(expected));
        assert!(found[1].pods.is_empty());
        // What has a sidecar and would lose it is told, too.
        let left = injected(&[namespace("shop", &[])], &hooks, &pods[1..2]);
        assert_eq!(left[0].pods["default"], count(1, 0, 1));
    }
}
