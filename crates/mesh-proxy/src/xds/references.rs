//! Names that resources refer to, and how they change: a cluster's endpoint set, a listener's route tables.
//!
//! While a changed resource waits for what it needs, the one before serves on, and what that one refers to stays.

use std::collections::{BTreeMap, BTreeSet};

/// Who refers to what.
#[derive(Debug, Default)]
pub(super) struct References {
    by_owner: BTreeMap<String, Owner>,
    asked: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Owner {
    latest: BTreeSet<String>,
    /// Of the one that serves, as long as the latest waits.
    serving: BTreeSet<String>,
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
    /// The latest `owner` refers to these.
    pub(super) fn set(&mut self, owner: &str, names: BTreeSet<String>) {
        self.by_owner.entry(owner.to_owned()).or_default().latest = names;
    }

    /// `owner` is gone.
    pub(super) fn remove(&mut self, owner: &str) {
        self.by_owner.remove(owner);
    }

    /// The latest of every owner is in force, but of those that still wait.
    pub(super) fn settle(&mut self, waiting: &BTreeSet<String>) {
        for (name, owner) in &mut self.by_owner {
            if owner.serving != owner.latest && !waiting.contains(name) {
                owner.serving.clone_from(&owner.latest);
            }
        }
    }

    /// What has changed since the last call.
    pub(super) fn change(&mut self) -> Change {
        let owners = self.by_owner.values();
        let names = owners.flat_map(|owner| owner.latest.iter().chain(&owner.serving));
        let all: BTreeSet<_> = names.cloned().collect();
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
        references.settle(&names([]));
        assert_eq!(references.change().added, ["x", "y"]);
        assert_eq!(references.change(), Change::default());
        references.set("a", names(["z"]));
        references.settle(&names([]));
        let change = references.change();
        assert_eq!(
            (change.added, change.removed),
            (vec!["z".into()], vec!["x".into()])
        );
        references.remove("b");
        assert_eq!(references.change().removed, ["y"]);
    }

    #[test]
    fn what_serves_keeps_what_it_refers_to() {
        let mut references = References::default();
        references.set("a", names(["old"]));
        references.settle(&names([]));
        references.change();
        references.set("a", names(["new"]));
        references.settle(&names(["a"]));
        let change = references.change();
        assert_eq!((change.added, change.removed), (vec!["new".into()], vec![]));
        references.settle(&names([]));
        assert_eq!(references.change().removed, ["old"]);
    }
}
