//! Which namespaces the mesh reads (`discoverySelectors`).

use super::World;
use crate::watch::Stores;
use mesh_api::k8s::api::core::v1::Namespace;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The label that an API server gives every namespace.
const NAME: &str = "kubernetes.io/metadata.name";

impl World {
    /// Whether objects of a namespace count.
    pub(super) fn discovers(&self, namespace: &str) -> bool {
        let selected = self.discovered.as_ref();
        selected.is_none_or(|selected| selected.contains(namespace))
    }

    /// The namespaces that count by the settings of this world; `None` if all do. Those of the control plane and of the mesh's
    /// policies always do, so that no selector can switch a policy off.
    pub(super) fn select(&self, stores: &Stores) -> Option<Arc<BTreeSet<Arc<str>>>> {
        let mesh = self.mesh();
        if mesh.discovery_selectors.is_empty() {
            return None;
        }
        let is_selected = |object: &Namespace| {
            let labels = labels(object);
            let mut selectors = mesh.discovery_selectors.iter();
            selectors.any(|selector| selector.matches(&labels))
        };
        let selected = stores
            .namespaces()
            .filter(|(_, object)| is_selected(object));
        let always = [&self.cluster().system_namespace, &mesh.root_namespace];
        let always = always.map(|namespace| Arc::from(namespace.as_str()));
        let all = selected.map(|(name, _)| name.name.clone()).chain(always);
        Some(Arc::new(all.collect()))
    }
}

fn labels(object: &Namespace) -> BTreeMap<String, String> {
    let mut labels = object.metadata.labels.clone().unwrap_or_default();
    let name = object.metadata.name.clone().unwrap_or_default();
    labels.entry(NAME.into()).or_insert(name);
    labels
}
