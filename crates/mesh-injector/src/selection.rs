//! Would the API server call the webhook for this pod?
//!
//! On Kubernetes the selectors of the `MutatingWebhookConfiguration` answer that. Where there is no API server (the
//! demo), and where a user asks why a pod was not injected, this does: the same five entries, in the same words.

use std::collections::BTreeMap;

use mesh_model::annotation::{INJECT, INJECTION, REVISION};

use crate::{NamespaceFacts, Settings};

/// Namespaces that are left out when every unlabelled namespace is injected, and by the decision in any case.
pub const IGNORED_NAMESPACES: [&str; 4] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "local-path-storage",
];

/// The webhook entry that matched, by the prefix of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `rev.namespace.`: the namespace names this revision.
    RevisionNamespace,
    /// `rev.object.`: the pod names this revision.
    RevisionObject,
    /// `namespace.`: the namespace asks for injection.
    Namespace,
    /// `object.`: the pod asks for injection.
    Object,
    /// `auto.`: nothing says otherwise, and every namespace is injected.
    Auto,
}

/// Why no entry matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSelected {
    /// The namespace says `istio-injection: disabled` (or anything but `enabled`).
    #[error("the namespace is labelled {INJECTION}={0}")]
    NamespaceDisabled(String),
    /// The pod says `sidecar.istio.io/inject: "false"`.
    #[error("the pod is labelled {INJECT}=false")]
    PodDisabled,
    /// Namespace or pod belong to another revision.
    #[error("it is labelled {REVISION}={0}, which is another revision")]
    OtherRevision(String),
    /// The default entries belong to another revision's webhook.
    #[error("only the default revision answers to {INJECTION}=enabled and {INJECT}=true")]
    NotDefault,
    /// There is no label at all.
    #[error(
        "neither the namespace nor the pod asks for injection (hint: label the namespace {INJECTION}=enabled)"
    )]
    Unlabelled,
}

/// The webhook entry that matches a pod with `pod_labels` in `namespace`. `every_namespace` is
/// `enableNamespacesByDefault`.
///
/// # Errors
/// If none does: why not.
pub fn select(
    namespace: &NamespaceFacts,
    pod_labels: &BTreeMap<String, String>,
    settings: &Settings,
    every_namespace: bool,
) -> Result<Entry, NotSelected> {
    let label = |name| namespace.labels.get(name).map(String::as_str);
    let pod = |name| pod_labels.get(name).map(String::as_str);
    if pod(INJECT) == Some("false") {
        return Err(NotSelected::PodDisabled);
    }
    let is_default = settings.revision == "default";
    let ours = |revision: &str, entry| match revision == settings.revision {
        true => Ok(entry),
        false => Err(NotSelected::OtherRevision(revision.to_owned())),
    };
    let default = |entry| {
        if is_default {
            Ok(entry)
        } else {
            Err(NotSelected::NotDefault)
        }
    };
    match (
        label(INJECTION),
        label(REVISION),
        pod(REVISION),
        pod(INJECT),
    ) {
        (Some("enabled"), ..) => default(Entry::Namespace),
        (Some(other), ..) => Err(NotSelected::NamespaceDisabled(other.to_owned())),
        (None, Some(revision), ..) => ours(revision, Entry::RevisionNamespace),
        (None, None, Some(revision), _) => ours(revision, Entry::RevisionObject),
        (None, None, None, Some("true")) => default(Entry::Object),
        (None, None, None, None)
            if every_namespace && !IGNORED_NAMESPACES.contains(&&*namespace.name) =>
        {
            default(Entry::Auto)
        }
        _ => Err(NotSelected::Unlabelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn outcome(namespace: &str, pod: &str, revision: &str, every_namespace: bool) -> String {
        let facts = NamespaceFacts {
            name: "test".into(),
            labels: labels(namespace),
        };
        let settings = Settings {
            revision: revision.into(),
            ..Settings::default()
        };
        match select(&facts, &labels(pod), &settings, every_namespace) {
            Ok(entry) => format!("{entry:?}"),
            Err(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn the_entries_match_as_their_selectors_say() {
        let (on, off) = ("istio-injection=enabled", "istio-injection=disabled");
        let (pod_on, pod_off) = (
            "sidecar.istio.io/inject=true",
            "sidecar.istio.io/inject=false",
        );
        let (canary, stable) = ("istio.io/rev=canary", "istio.io/rev=stable");
        let rows = [
            (on, "", "default", "Namespace"),
            (on, pod_off, "default", "PodDisabled"),
            (on, canary, "canary", "NotDefault"),
            (
                "istio-injection=enabled istio.io/rev=canary",
                "",
                "canary",
                "NotDefault",
            ),
            (
                "istio-injection=enabled istio.io/rev=canary",
                "",
                "default",
                "Namespace",
            ),
            (off, pod_on, "default", "NamespaceDisabled(\"disabled\")"),
            (canary, "", "canary", "RevisionNamespace"),
            (canary, stable, "canary", "RevisionNamespace"),
            (canary, "", "default", "OtherRevision(\"canary\")"),
            ("", canary, "canary", "RevisionObject"),
            ("", canary, "default", "OtherRevision(\"canary\")"),
            ("", pod_on, "default", "Object"),
            ("", pod_on, "canary", "NotDefault"),
            ("", "", "default", "Unlabelled"),
        ];
        for (namespace, pod, revision, expected) in rows {
            assert_eq!(
                outcome(namespace, pod, revision, false),
                expected,
                "{namespace} | {pod} | {revision}"
            );
        }
    }

    #[test]
    fn unlabelled_pods_are_selected_where_every_namespace_is() {
        assert_eq!(outcome("", "", "default", true), "Auto");
        assert_eq!(
            outcome("", "sidecar.istio.io/inject=false", "default", true),
            "PodDisabled"
        );
        let system = NamespaceFacts::named("kube-system");
        assert!(select(&system, &BTreeMap::new(), &Settings::default(), true).is_err());
    }
}
