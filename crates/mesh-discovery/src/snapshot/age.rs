//! Who came first.

use crate::watch::ObjectRef;
use mesh_api::k8s::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::cmp::Ordering;

/// Orders objects by their creation, then by name and namespace, as Istio does when two of them claim the same thing.
/// Objects whose creation is not known (they come from a file) are younger than all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Age {
    /// Seconds since 1970.
    created: Option<i64>,
    name: String,
    namespace: String,
}

impl Age {
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        Self {
            created: metadata
                .creation_timestamp
                .as_ref()
                .map(|t| t.0.as_second()),
            name: metadata.name.clone().unwrap_or_default(),
            namespace: super::namespace(metadata).to_owned(),
        }
    }

    /// The object whose age it is.
    pub(super) fn object(&self) -> ObjectRef {
        ObjectRef::new(&*self.namespace, &*self.name)
    }
}

impl Ord for Age {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |age: &Self| age.created.unwrap_or(i64::MAX);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.name.cmp(&other.name))
            .then_with(|| self.namespace.cmp(&other.namespace))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
