//! Who is injected: up to five entries, whose selectors are the first half of the decision (`mesh_injector::select` says
//! the same in code).
//!
//! There is no caBundle here: the injector writes it, and keeps it, as soon as it knows the roots.

use mesh_injector::IGNORED_NAMESPACES;
use serde_json::{Value, json};

use super::Plan;

/// Options among `values.sidecarInjectorWebhook` that are carried out here.
pub(crate) const OPTIONS: [&str; 3] = [
    "enableNamespacesByDefault",
    "reinvocationPolicy",
    "injectionPath",
];
/// The API server waits 10 s for others; a pod should not wait that long for a webhook that is gone.
const TIMEOUT_SECONDS: u32 = 5;

const INJECTION: &str = "istio-injection";
const INJECT: &str = "sidecar.istio.io/inject";
const REVISION: &str = super::REVISION;

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let revision = plan.options.revision();
    let mut objects = vec![configuration(plan, own_name(plan), revision, None)];
    for tag in &plan.options.tags {
        objects.push(configuration(plan, tag_name(plan, tag), tag, Some(tag)));
    }
    objects
}

/// The names of all configurations: those that the injector may patch.
pub(super) fn names(plan: &Plan<'_>) -> Vec<String> {
    let tags = plan.options.tags.iter().map(|tag| tag_name(plan, tag));
    std::iter::once(own_name(plan)).chain(tags).collect()
}

fn own_name(plan: &Plan<'_>) -> String {
    elsewhere(
        plan,
        format!("istio-sidecar-injector{}", plan.options.suffix()),
    )
}

fn tag_name(plan: &Plan<'_>, tag: &str) -> String {
    elsewhere(plan, format!("istio-revision-tag-{tag}"))
}

/// Configurations belong to the whole cluster: one for another namespace has its name.
fn elsewhere(plan: &Plan<'_>, name: String) -> String {
    match plan.namespace {
        "istio-system" => name,
        namespace => format!("{name}-{namespace}"),
    }
}

fn configuration(plan: &Plan<'_>, name: String, answers_to: &str, tag: Option<&String>) -> Value {
    let mut metadata = plan.cluster_metadata(&name);
    metadata["labels"]["app"] = "sidecar-injector".into();
    if let Some(tag) = tag {
        metadata["labels"]["istio.io/tag"] = tag.as_str().into();
    }
    let mut entries = revision_entries(answers_to);
    if answers_to == "default" {
        entries.extend(default_entries());
        if option(plan, "enableNamespacesByDefault") == Some(&Value::Bool(true)) {
            entries.push(auto_entry());
        }
    }
    let webhooks: Vec<_> = entries
        .into_iter()
        .map(|entry| webhook(plan, entry))
        .collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": metadata, "webhooks": webhooks,
    })
}

fn option<'a>(plan: &'a Plan<'_>, name: &str) -> Option<&'a Value> {
    plan.options.values.get("sidecarInjectorWebhook")?.get(name)
}

/// The prefix of an entry's name, and what it selects.
struct Entry {
    prefix: &'static str,
    namespaces: Vec<Value>,
    objects: Vec<Value>,
}

fn is_in(key: &str, values: &[&str]) -> Value {
    json!({"key": key, "operator": "In", "values": values})
}

fn is_not_in(key: &str, values: &[&str]) -> Value {
    json!({"key": key, "operator": "NotIn", "values": values})
}

fn is_absent(key: &str) -> Value {
    json!({"key": key, "operator": "DoesNotExist"})
}

fn revision_entries(revision: &str) -> Vec<Entry> {
    vec![
        Entry {
            prefix: "rev.namespace.",
            namespaces: vec![is_in(REVISION, &[revision]), is_absent(INJECTION)],
            objects: vec![is_not_in(INJECT, &["false"])],
        },
        Entry {
            prefix: "rev.object.",
            namespaces: vec![is_absent(REVISION), is_absent(INJECTION)],
            objects: vec![is_not_in(INJECT, &["false"]), is_in(REVISION, &[revision])],
        },
    ]
}

fn default_entries() -> Vec<Entry> {
    vec![
        Entry {
            prefix: "namespace.",
            namespaces: vec![is_in(INJECTION, &["enabled"])],
            objects: vec![is_not_in(INJECT, &["false"])],
        },
        Entry {
            prefix: "object.",
            namespaces: vec![is_absent(INJECTION), is_absent(REVISION)],
            objects: vec![is_in(INJECT, &["true"]), is_absent(REVISION)],
        },
    ]
}

fn auto_entry() -> Entry {
    let name = "kubernetes.io/metadata.name";
    Entry {
        prefix: "auto.",
        namespaces: vec![
            is_absent(INJECTION),
            is_absent(REVISION),
            is_not_in(name, &IGNORED_NAMESPACES),
        ],
        objects: vec![is_absent(INJECT), is_absent(REVISION)],
    }
}

fn webhook(plan: &Plan<'_>, entry: Entry) -> Value {
    let text = |name: &str, default: &str| {
        let set = option(plan, name).and_then(Value::as_str);
        set.unwrap_or(default).to_owned()
    };
    json!({
        "name": format!("{}sidecar-injector.istio.io", entry.prefix),
        "clientConfig": {"service": {
            "name": plan.injector(), "namespace": plan.namespace, "path": text("injectionPath", "/inject"), "port": 443}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}],
        "namespaceSelector": {"matchExpressions": entry.namespaces},
        "objectSelector": {"matchExpressions": entry.objects},
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "reinvocationPolicy": text("reinvocationPolicy", "Never"),
        "timeoutSeconds": TIMEOUT_SECONDS,
    })
}
