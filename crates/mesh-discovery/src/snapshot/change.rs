//! What differs between two worlds, as far as proxies can tell.

use crate::watch::ObjectRef;
use std::{collections::BTreeSet, sync::Arc};

/// What differs between two worlds. Changes of one burst are merged before anything is pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// More than endpoints changed: everything has to be translated again.
    pub full: bool,
    /// Hosts of the services of which only endpoints changed: their endpoint sets are all that has to be sent.
    pub endpoints: BTreeSet<Arc<str>>,
    /// Pods that changed: what their own proxies accept may have changed with them.
    pub workloads: BTreeSet<ObjectRef>,
}

impl Change {
    /// Everything changed.
    pub fn everything() -> Self {
        Self {
            full: true,
            ..Self::default()
        }
    }

    /// Whether no proxy could tell the worlds apart.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what `later` changed on top.
    pub fn merge(&mut self, later: Self) {
        self.full |= later.full;
        self.endpoints.extend(later.endpoints);
        self.workloads.extend(later.workloads);
    }
}
