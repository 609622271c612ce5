//! Names that resources refer to, and how they change: a cluster's endpoint set, a listener's route tables.

use std::collections::{BTreeMap, BTreeSet};

/// Who refers to what.
#[derive(Debug, Default)]
pub(super) struct References {
    by_owner: BTreeMap<String, BTreeSet<String>>,
    asked: BTreeSet<String>,
}

/// What has changed since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Referred to now.
    pub(super) added: Vec<String>,
    /// Referred to no more.
    pub(super) removed: Vec<String>,
}

impl References {
    /// `owner` refers to these.
    pub(super) fn set(&mut self, owner: &str, names: BTreeSet<String>) {
        if names.is_empty() {
            self.by_owner.remove(owner);
        } else {
            self.by_owner.insert(owner.to_owned(), names);
        }
    }

    /// `owner` is gone.
    pub(super) fn remove(&mut self, owner: &str) {
        self.by_owner.remove(owner);
    }

    /// What has changed since the last call.
    pub(super) fn change(&mut self) -> Change {
        let all: BTreeSet<_> = self.by_owner.values().flatten().cloned().collect();
        let change = Change {
            added: all.difference(&self.asked).cloned().collect(),
            removed: self.asked.difference(&all).cloned().collect(),
        };
        self.asked = all;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    #[test]
    fn a_name_goes_with_the_last_that_refers_to_it() {
        let mut references = References::default();
        references.set("a", names(["x", "y"]));
        references.set("b", names(["y"]));
        assert_eq!(references.change().added, ["x", "y"]);
        assert_eq!(references.change(), Change::default());
        references.set("a", names(["z"]));
        let change = references.change();
        assert_eq!(
            (change.added, change.removed),
            (vec!["z".into()], vec!["x".into()])
        );
        references.remove("b");
        assert_eq!(references.change().removed, ["y"]);
    }
}
