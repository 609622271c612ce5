//! All pods, with their indexes.

use super::Workload;
use crate::watch::ObjectRef;
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// All pods that have not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workloads {
    by_name: BTreeMap<ObjectRef, Arc<Workload>>,
    /// By namespace and address, so that what one namespace claims changes nothing in another.
    by_address: HashMap<(Arc<str>, IpAddr), Arc<Workload>>,
}

impl Workloads {
    /// The pod of that name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Workload>> {
        self.by_name.get(&ObjectRef::new(namespace, name))
    }

    /// The pod with that address; the youngest of the namespace that claim it.
    pub fn at(&self, namespace: &str, address: IpAddr) -> Option<&Arc<Workload>> {
        self.by_address.get(&(namespace.into(), address))
    }

    /// All, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Workload>> {
        self.by_name.values()
    }

    /// The same pods with some replaced (`Some`) or gone (`None`).
    pub(super) fn with(&self, changed: &BTreeMap<ObjectRef, Option<Arc<Workload>>>) -> Self {
        let mut by_name = self.by_name.clone();
        for (name, workload) in changed {
            match workload {
                Some(workload) => by_name.insert(name.clone(), workload.clone()),
                None => by_name.remove(name),
            };
        }
        let mut by_age: Vec<_> = by_name.values().collect();
        by_age.sort_by(|a, b| a.age.cmp(&b.age));
        let claims = by_age.into_iter().flat_map(|w| {
            w.addresses
                .iter()
                .map(move |a| ((w.namespace.clone(), *a), w.clone()))
        });
        Self {
            by_address: claims.collect(),
            by_name,
        }
    }
}
