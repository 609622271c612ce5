//! Selectors of labels, with the label that decided.

use std::collections::BTreeMap;

use kube::core::{Selector, SelectorExt};
use mesh_api::k8s::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Labels of an object.
pub(crate) type Labels = BTreeMap<String, String>;

/// Whether `selector` takes `labels`. None takes everything; one that Kubernetes would not understand takes nothing.
pub(crate) fn takes(selector: Option<&LabelSelector>, labels: &Labels) -> bool {
    selector.is_none_or(|selector| {
        Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
    })
}

/// Whether the labels hold all of `wanted`. Nothing wanted chooses nothing, as services and policies have it.
pub(crate) fn holds(labels: &Labels, wanted: &Labels) -> bool {
    let mut pairs = wanted.iter();
    !wanted.is_empty() && pairs.all(|(key, value)| labels.get(key) == Some(value))
}

/// What every namespace is labelled with, so that it says nothing of what its owner wants.
const OF_ALL: &str = "kubernetes.io/metadata.name";

/// The label, as `key=value`, that `selector` asks about and that is there.
pub(crate) fn asked(selector: Option<&LabelSelector>, labels: &Labels) -> Option<String> {
    let selector = selector?;
    let plain = selector.match_labels.iter().flat_map(BTreeMap::keys);
    let sets = selector.match_expressions.iter().flatten();
    let sets = sets.filter(|one| matches!(one.operator.as_str(), "In" | "NotIn"));
    let mut keys = plain.chain(sets.map(|one| &one.key));
    keys.find_map(|key| shown(key, labels).filter(|_| key != OF_ALL))
}

/// The label, as `key=value`, that `selector` will not have.
pub(crate) fn unwanted(selector: Option<&LabelSelector>, labels: &Labels) -> Option<String> {
    let expressions = selector?.match_expressions.iter().flatten();
    let mut refused =
        expressions.filter(|one| match (one.operator.as_str(), labels.get(&one.key)) {
            ("DoesNotExist", value) => value.is_some(),
            ("NotIn", Some(value)) => one.values.iter().flatten().any(|refused| refused == value),
            _ => false,
        });
    refused.find_map(|one| shown(&one.key, labels))
}

/// The labels, as `key=value`, that `selector` would take.
pub(crate) fn wanted(selector: Option<&LabelSelector>) -> Vec<String> {
    let Some(selector) = selector else {
        return Vec::new();
    };
    let plain = selector.match_labels.iter().flatten();
    let plain = plain.map(|(key, value)| format!("{key}={value}"));
    let sets = selector.match_expressions.iter().flatten();
    let sets = sets.filter(|one| one.operator == "In").flat_map(|one| {
        let values = one.values.iter().flatten();
        values.map(move |value| format!("{}={value}", one.key))
    });
    plain.chain(sets).collect()
}

fn shown(key: &str, labels: &Labels) -> Option<String> {
    Some(format!("{key}={}", labels.get(key)?))
}
