//! Whose the objects are that stand in a cluster under the names of an installation.
//!
//! Ours bear labels that `meshctl install` sets. Definitions and namespaces that were there before are used, but do not get
//! these labels: they stay when the installation goes. Any other object that was there before belongs to another mesh.

use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, Client};
use mesh_api::k8s::api::apps::v1::Deployment;
use serde_json::Value;

use super::apply::name;
use super::manifest::{INSTANCE, MANAGED};
use crate::fetch::ClusterError;

/// What a control plane is labelled with, Istio's as ours.
const CONTROL_PLANE: &str = "app=istiod";

/// Whether an installation in `namespace` has made it.
pub(crate) fn is_ours(found: &DynamicObject, namespace: &str) -> bool {
    let labels = found.metadata.labels.as_ref();
    let label = |name: &str| Some(labels?.get(name)?.as_str());
    let instance = label(INSTANCE);
    label(MANAGED.0) == Some(MANAGED.1) && instance.is_none_or(|of| of == namespace)
}

/// Names of the objects that are there and belong to another mesh. `found` is what stands under the name of each of `objects`.
pub(crate) fn foreign(
    objects: &[Value],
    found: &[Option<DynamicObject>],
    namespace: &str,
) -> Vec<String> {
    others(objects, found, namespace)
        .filter(|(object, _)| !is_shared(object))
        .map(|(object, _)| name(object))
        .collect()
}

/// Takes our labels from definitions and namespaces that were there before; gives their names.
pub(crate) fn spare(
    objects: &mut [Value],
    found: &[Option<DynamicObject>],
    namespace: &str,
) -> Vec<String> {
    let spared: Vec<_> = others(objects, found, namespace)
        .filter(|(object, _)| is_shared(object))
        .map(|(_, index)| index)
        .collect();
    for &index in &spared {
        if let Some(labels) = objects[index]["metadata"]["labels"].as_object_mut() {
            labels.remove(MANAGED.0);
            labels.remove(INSTANCE);
        }
    }
    spared.iter().map(|&index| name(&objects[index])).collect()
}

fn others<'a>(
    objects: &'a [Value],
    found: &'a [Option<DynamicObject>],
    namespace: &'a str,
) -> impl Iterator<Item = (&'a Value, usize)> {
    let pairs = objects.iter().zip(found).enumerate();
    pairs.filter_map(move |(index, (object, found))| {
        let found = found.as_ref()?;
        (!is_ours(found, namespace)).then_some((object, index))
    })
}

fn is_shared(object: &Value) -> bool {
    object["kind"] == "CustomResourceDefinition" || object["kind"] == "Namespace"
}

/// A control plane that is not ours, or not of our namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlPlane {
    /// Where it is.
    pub(crate) namespace: String,
    /// Its Deployment.
    pub(crate) name: String,
}

/// The control planes of the cluster but that of an installation in `namespace`.
///
/// # Errors
/// If we may not see them.
pub(crate) async fn other_control_planes(
    client: &Client,
    namespace: &str,
) -> Result<Vec<ControlPlane>, ClusterError> {
    let api: Api<Deployment> = Api::all(client.clone());
    let all = api
        .list(&ListParams::default().labels(CONTROL_PLANE))
        .await?;
    let is_other = |deployment: &Deployment| {
        let labels = deployment.metadata.labels.as_ref();
        let manager = labels.and_then(|labels| labels.get(MANAGED.0));
        deployment.metadata.namespace.as_deref() != Some(namespace)
            || manager.map(String::as_str) != Some(MANAGED.1)
    };
    let others = all.items.into_iter().filter(is_other);
    Ok(others
        .map(|deployment| ControlPlane {
            namespace: deployment.metadata.namespace.unwrap_or_default(),
            name: deployment.metadata.name.unwrap_or_default(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, labels: Value) -> Value {
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "labels": labels}})
    }

    fn found(labels: Value) -> Option<DynamicObject> {
        Some(serde_json::from_value(object("Any", labels)).expect("an object"))
    }

    #[test]
    fn labels_say_whose_it_is() {
        for (labels, ours) in [
            (json!({MANAGED.0: MANAGED.1, INSTANCE: "here"}), true),
            (json!({MANAGED.0: MANAGED.1}), true),
            (json!({MANAGED.0: MANAGED.1, INSTANCE: "there"}), false),
            (json!({MANAGED.0: "Helm", INSTANCE: "here"}), false),
            (json!({}), false),
        ] {
            let found = found(labels.clone()).expect("found");
            assert_eq!(is_ours(&found, "here"), ours, "{labels}");
        }
    }

    #[test]
    fn what_was_there_before_is_used_or_in_the_way() {
        let ours = json!({MANAGED.0: MANAGED.1, INSTANCE: "here", "other": "x"});
        let kinds = ["CustomResourceDefinition", "Namespace", "Deployment"];
        let mut objects = kinds.map(|kind| object(kind, ours.clone()));
        let nothing = [None, None, None];
        assert_eq!(foreign(&objects, &nothing, "here"), [""; 0]);
        assert_eq!(spare(&mut objects, &nothing, "here"), [""; 0]);
        let before = [(); 3].map(|()| found(json!({})));
        assert_eq!(foreign(&objects, &before, "here"), ["Deployment/x"]);
        let spared = spare(&mut objects, &before, "here");
        assert_eq!(spared, ["CustomResourceDefinition/x", "Namespace/x"]);
        let labels = objects.map(|object| object["metadata"]["labels"].clone());
        let left = json!({"other": "x"});
        assert_eq!(labels, [left.clone(), left, ours]);
    }
}
