//! Against the webhooks that an installation makes, so that what is installed and what is told cannot part.

use serde_json::{Value, json};

use super::*;
use crate::install::{manifest, options::Options};

/// The webhooks of an installation with these settings.
fn webhooks(sets: &[&str]) -> Vec<MutatingWebhookConfiguration> {
    let options = sets.iter().fold(Options::default(), |options, set| {
        options.set(set).expect("an option")
    });
    let objects = manifest::objects(&options, "istio-system").into_iter();
    let webhooks = objects.filter(|object| object["kind"] == "MutatingWebhookConfiguration");
    let webhooks = webhooks.map(|object| serde_json::from_value(object).expect("a webhook"));
    injectors(webhooks.collect())
}

fn subject(namespace: Value, pod: Value) -> Subject {
    Subject {
        namespace: NamespaceFacts {
            name: "test".into(),
            labels: serde_json::from_value(namespace).expect("labels"),
        },
        pod,
    }
}

/// `✔ reason` or `✘ reason` of the first webhook.
fn of_labels(webhooks: &[MutatingWebhookConfiguration], namespace: Value, pod: Value) -> String {
    let pod = json!({ "metadata": { "labels": pod } });
    shown(&verdicts(
        webhooks,
        &subject(namespace, pod),
        &BTreeMap::new(),
    ))
}

fn shown(verdicts: &[Verdict]) -> String {
    let mark = if verdicts[0].injected { "✔" } else { "✘" };
    format!("{mark} {}", verdicts[0].reason)
}

#[test]
fn labels_decide_whether_a_webhook_is_called() {
    let default = webhooks(&[]);
    let canary = webhooks(&["revision=canary"]);
    let none = "✘ No matching namespace labels (istio.io/rev=default, istio-injection=enabled) or pod labels (istio.io/rev=default, sidecar.istio.io/inject=true)";
    let other =
        "✘ No matching namespace labels (istio.io/rev=canary) or pod labels (istio.io/rev=canary)";
    let rows = [
        (json!({}), json!({}), none, other),
        (
            json!({"istio-injection": "enabled"}),
            json!({}),
            "✔ Namespace label istio-injection=enabled matches",
            other,
        ),
        (
            json!({"istio.io/rev": "canary"}),
            json!({}),
            none,
            "✔ Namespace label istio.io/rev=canary matches",
        ),
        (
            json!({}),
            json!({"istio.io/rev": "canary"}),
            "✘ Pod has istio.io/rev=canary label, preventing injection",
            "✔ Pod label istio.io/rev=canary matches",
        ),
        (
            json!({}),
            json!({"sidecar.istio.io/inject": "true"}),
            "✔ Pod label sidecar.istio.io/inject=true matches",
            other,
        ),
        (
            json!({"istio-injection": "enabled"}),
            json!({"sidecar.istio.io/inject": "true"}),
            "✔ Namespace label istio-injection=enabled matches, and pod label sidecar.istio.io/inject=true matches",
            other,
        ),
        (
            json!({"istio-injection": "disabled"}),
            json!({"istio.io/rev": "canary"}),
            "✘ Namespace has istio-injection=disabled label, preventing injection",
            "✘ Namespace has istio-injection=disabled label, preventing injection",
        ),
        (
            json!({"istio-injection": "enabled"}),
            json!({"sidecar.istio.io/inject": "false"}),
            "✘ Pod has sidecar.istio.io/inject=false label, preventing injection",
            other,
        ),
    ];
    for (namespace, pod, of_default, of_canary) in rows {
        let named = format!("{namespace} {pod}");
        assert_eq!(
            of_labels(&default, namespace.clone(), pod.clone()),
            of_default,
            "{named}"
        );
        assert_eq!(of_labels(&canary, namespace, pod), of_canary, "{named}");
    }
}

#[test]
fn where_every_namespace_is_injected_no_label_is_needed() {
    let webhooks = webhooks(&["values.sidecarInjectorWebhook.enableNamespacesByDefault=true"]);
    assert_eq!(
        of_labels(
            &webhooks,
            json!({"kubernetes.io/metadata.name": "test"}),
            json!({})
        ),
        "✔ Every namespace and pod without a label matches"
    );
    let system = of_labels(
        &webhooks,
        json!({"kubernetes.io/metadata.name": "kube-system"}),
        json!({}),
    );
    assert!(system.starts_with("✘ "), "{system}");
}

#[test]
fn a_webhook_that_never_matches_says_so() {
    let never = json!({"matchLabels": {"istio.io/deactivated": "never-match"}});
    let webhook: MutatingWebhookConfiguration = serde_json::from_value(json!({
        "metadata": {"name": "off"},
        "webhooks": [{"name": "namespace.sidecar-injector.istio.io", "namespaceSelector": never, "objectSelector": never,
            "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": ["v1"]}],
    }))
    .expect("a webhook");
    assert_eq!(
        of_labels(&[webhook], json!({}), json!({})),
        "✘ The injection webhook is deactivated, and will never match labels."
    );
}

#[test]
fn what_the_webhook_itself_would_refuse_is_told() {
    let webhooks = webhooks(&[]);
    let settings = BTreeMap::from([("default".to_owned(), Settings::default())]);
    let outcome = |pod: Value| {
        let subject = subject(json!({"istio-injection": "enabled"}), pod);
        shown(&verdicts(&webhooks, &subject, &settings))
    };
    let pod = |spec: Value, annotations: Value| {
        let mut pod = json!({"metadata": {"name": "p", "annotations": annotations}, "spec": spec});
        pod["spec"]["containers"] = json!([{"name": "app", "image": "app"}]);
        pod
    };
    let matches = "Namespace label istio-injection=enabled matches";
    assert_eq!(outcome(pod(json!({}), json!({}))), format!("✔ {matches}"));
    assert_eq!(
        outcome(pod(json!({"hostNetwork": true}), json!({}))),
        format!("✘ {matches}, but the pod uses the network of its node (hostNetwork: true)")
    );
    let annotated = outcome(pod(json!({}), json!({"sidecar.istio.io/inject": "false"})));
    assert!(
        annotated.starts_with(&format!("✘ {matches}, but the pod is annotated")),
        "{annotated}"
    );
    let mistaken = outcome(pod(json!({}), json!({"sidecar.istio.io/proxyCPU": "much"})));
    let refused = "but the pod is refused: metadata.annotations[sidecar.istio.io/proxyCPU]: ";
    assert!(
        mistaken.starts_with(&format!("✘ {matches}, {refused}")),
        "{mistaken}"
    );
}

#[test]
fn only_silence_is_told_how_to_ask() {
    let asks = |namespace: Value, pod: Value| {
        nobody_asks(&subject(namespace, json!({"metadata": {"labels": pod}})))
    };
    assert!(asks(json!({"team": "a"}), json!({"app": "a"})));
    assert!(!asks(json!({"istio-injection": "disabled"}), json!({})));
    assert!(!asks(
        json!({}),
        json!({"sidecar.istio.io/inject": "false"})
    ));
}
