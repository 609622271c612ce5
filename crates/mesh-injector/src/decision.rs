//! Does this pod get a proxy?
//!
//! Six rules, the first that applies decides. Each outcome carries its reason, because "why was my pod not injected" is
//! what users ask most.

use mesh_api::k8s::api::core::v1::Pod;
use mesh_model::annotation::INJECT;

use crate::selection::IGNORED_NAMESPACES;
use crate::selector::matches;
use crate::{NamespaceFacts, Policy, Settings};

/// What happens to a pod, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is injected.
    Inject(Why),
    /// It is left alone.
    Skip(Skip),
}

/// Why a pod is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Its label says so.
    #[error("the pod is labelled {INJECT}=true")]
    Label,
    /// Its annotation says so.
    #[error("the pod is annotated {INJECT}=true")]
    Annotation,
    /// A selector of the settings says so.
    #[error("it matches alwaysInjectSelector")]
    AlwaysInject,
    /// Nothing speaks against it.
    #[error("injection is enabled by policy")]
    Policy,
}

/// Why a pod is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// Its rules would redirect the traffic of the whole node.
    #[error("the pod uses the network of its node (hostNetwork: true)")]
    HostNetwork,
    /// Its namespace belongs to Kubernetes itself.
    #[error("namespace {0} is never injected")]
    IgnoredNamespace(String),
    /// Its label says so.
    #[error("the pod is labelled {INJECT}=false")]
    Label,
    /// Its annotation says so.
    #[error("the pod is annotated {INJECT}=false")]
    Annotation,
    /// A selector of the settings says so.
    #[error("it matches neverInjectSelector")]
    NeverInject,
    /// Nothing asks for it.
    #[error("injection is disabled by policy")]
    Policy,
}

/// Decides about `pod`, to be created in `namespace`.
#[must_use]
pub fn decide(pod: &Pod, namespace: &NamespaceFacts, settings: &Settings) -> Decision {
    if pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.host_network == Some(true))
    {
        return Decision::Skip(Skip::HostNetwork);
    }
    if IGNORED_NAMESPACES.contains(&namespace.name.as_str()) {
        return Decision::Skip(Skip::IgnoredNamespace(namespace.name.clone()));
    }
    let empty = std::collections::BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
    let annotations = pod.metadata.annotations.as_ref().unwrap_or(&empty);
    let (label, annotation) = (labels.get(INJECT), annotations.get(INJECT));
    match (label.map(String::as_str), annotation.map(String::as_str)) {
        (Some("true"), _) => return Decision::Inject(Why::Label),
        (Some("false"), _) => return Decision::Skip(Skip::Label),
        (None, Some("true")) => return Decision::Inject(Why::Annotation),
        (None, Some("false")) => return Decision::Skip(Skip::Annotation),
        _ => {}
    }
    if settings
        .never_inject
        .iter()
        .any(|selector| matches(selector, labels))
    {
        Decision::Skip(Skip::NeverInject)
    } else if settings
        .always_inject
        .iter()
        .any(|selector| matches(selector, labels))
    {
        Decision::Inject(Why::AlwaysInject)
    } else {
        match settings.policy {
            Policy::Enabled => Decision::Inject(Why::Policy),
            Policy::Disabled => Decision::Skip(Skip::Policy),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn outcome(pod: Value, namespace: &str, settings: &Settings) -> Decision {
        let pod = serde_json::from_value(pod).unwrap();
        decide(&pod, &NamespaceFacts::named(namespace), settings)
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        let selector =
            |app: &str| vec![serde_json::from_value(json!({"matchLabels": {"app": app}})).unwrap()];
        let settings = Settings {
            never_inject: selector("never"),
            always_inject: selector("always"),
            policy: Policy::Disabled,
            ..Settings::default()
        };
        let pod = |labels: Value, annotations: Value| json!({"metadata": {"labels": labels, "annotations": annotations}});
        let asks = json!({INJECT: "true"});
        let rows = [
            (
                json!({"metadata": {"labels": asks}, "spec": {"hostNetwork": true, "containers": []}}),
                "a",
                Decision::Skip(Skip::HostNetwork),
            ),
            (
                pod(asks.clone(), json!({})),
                "kube-system",
                Decision::Skip(Skip::IgnoredNamespace("kube-system".into())),
            ),
            (
                pod(asks.clone(), json!({INJECT: "false"})),
                "a",
                Decision::Inject(Why::Label),
            ),
            (
                pod(json!({INJECT: "false"}), asks.clone()),
                "a",
                Decision::Skip(Skip::Label),
            ),
            (
                pod(json!({}), asks.clone()),
                "a",
                Decision::Inject(Why::Annotation),
            ),
            (
                pod(json!({}), json!({INJECT: "false"})),
                "a",
                Decision::Skip(Skip::Annotation),
            ),
            (
                pod(json!({INJECT: "maybe", "app": "always"}), json!({})),
                "a",
                Decision::Inject(Why::AlwaysInject),
            ),
            (
                pod(json!({"app": "never"}), asks),
                "a",
                Decision::Inject(Why::Annotation),
            ),
            (
                pod(json!({"app": "never"}), json!({})),
                "a",
                Decision::Skip(Skip::NeverInject),
            ),
            (json!({}), "a", Decision::Skip(Skip::Policy)),
        ];
        for (pod, namespace, expected) in rows {
            assert_eq!(
                outcome(pod.clone(), namespace, &settings),
                expected,
                "{pod} in {namespace}"
            );
        }
        assert_eq!(
            outcome(json!({}), "a", &Settings::default()),
            Decision::Inject(Why::Policy)
        );
    }
}
