//! What one client is subscribed to of one type, and what it holds of it.

mod subscription;

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashSet},
    hash::{Hash, Hasher},
};

pub(super) use self::subscription::{Changes, DeltaChanges};
use super::{Ask, record::Record};
use crate::ads::{ResourceType, SharedResource, Version};

/// What an answer has to say.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// New, changed, or asked for again.
    pub(super) changed: Vec<SharedResource>,
    /// Asked for, and not there.
    pub(super) absent: Vec<String>,
}

/// The subscriptions of one type.
#[derive(Debug)]
pub(super) struct Watch {
    kind: ResourceType,
    /// Everything is wanted.
    pub(super) wildcard: bool,
    /// A request has named something before: from then on, no names mean nothing rather than everything.
    named: bool,
    entries: HashSet<Entry>,
    /// An answer is due, even an empty one.
    pub(super) due: bool,
    /// Names to be sent whether they changed or not.
    pub(super) forced: BTreeSet<Box<str>>,
    /// What the client holds and should lose.
    doomed: BTreeSet<Box<str>>,
    /// Names that are wanted no more, while a response that carries them may still be under way: a wildcard that comes
    /// back before it arrives would make the client keep them, so they have to be sent again or removed.
    shadow: BTreeSet<Box<str>>,
    pub(super) record: Record,
}

/// One name. Shares its text with every other connection as soon as the resource has been sent.
#[derive(Debug)]
struct Entry {
    resource: SharedResource,
    explicit: bool,
    state: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Subscribed, and nothing said of it yet.
    Unanswered,
    /// The client knows that there is none.
    Absent,
    /// The client has the version of the resource.
    Version,
}

impl Watch {
    pub(super) fn new(kind: ResourceType) -> Self {
        Self {
            kind,
            wildcard: false,
            named: false,
            entries: HashSet::new(),
            due: false,
            forced: BTreeSet::new(),
            doomed: BTreeSet::new(),
            shadow: BTreeSet::new(),
            record: Record::default(),
        }
    }

    pub(super) fn is_subscribed(&self) -> bool {
        self.wildcard || self.entries.iter().any(|entry| entry.explicit)
    }

    /// Whether a SotW response must be complete, because what it lacks is gone.
    pub(super) fn sends_whole(&self) -> bool {
        self.kind.is_wildcard()
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.is_explicit(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|entry| entry.explicit)
            .map(|entry| entry.resource.name())
    }

    pub(super) fn held_count(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.state == Held::Version)
            .count()
    }

    /// All that the client was sent and has not lost, by name.
    pub(super) fn held(&self) -> Vec<SharedResource> {
        let mut held: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| entry.resource.has_bytes())
            .map(|entry| entry.resource.clone())
            .collect();
        held.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        held
    }

    /// The client has seen everything that was sent, with the subscriptions that we know.
    pub(super) fn caught_up(&mut self) {
        self.shadow.clear();
    }

    /// Makes a name due if the client holds or awaits it.
    pub(super) fn force_if_held(&mut self, name: &str) {
        if self.entries.contains(name) {
            self.forced.insert(name.into());
        }
    }

    /// Compares what there is with what the client holds, within the ask, and takes the result for sent.
    pub(super) fn compare<'a>(
        &mut self,
        ask: &Ask,
        resources: impl IntoIterator<Item = &'a SharedResource>,
    ) -> Difference {
        let mut difference = Difference::default();
        let mut seen = HashSet::new();
        for resource in resources {
            let name = resource.name();
            if !self.wants(name) || !ask.covers(name) || !seen.insert(name) {
                continue;
            }
            self.doomed.remove(name);
            if self.forced.remove(name) | !self.holds(resource) {
                self.put(resource.clone());
                difference.changed.push(resource.clone());
            } else {
                self.share(resource);
            }
        }
        self.lose(ask, &seen, &mut difference);
        if !self.kind.is_removable() {
            difference.absent.clear();
        }
        difference
    }

    /// Drops what is doomed and tells its names.
    pub(super) fn forget_doomed(&mut self) -> Vec<String> {
        let doomed = std::mem::take(&mut self.doomed);
        for name in &doomed {
            match self.entries.get(&**name) {
                Some(entry) if entry.explicit => self.put_stub(name, true, Held::Absent),
                _ => {
                    self.entries.remove(&**name);
                }
            }
        }
        doomed.into_iter().map(Into::into).collect()
    }

    /// Everything within the ask that was not among the resources.
    fn lose(&mut self, ask: &Ask, seen: &HashSet<&str>, difference: &mut Difference) {
        let entries = self.entries.iter().map(|entry| entry.resource.name());
        let known = entries.chain(self.forced.iter().map(AsRef::as_ref));
        let gone: BTreeSet<Box<str>> = match &ask.names {
            Some(names) => names
                .iter()
                .filter(|name| !seen.contains(name.as_ref()))
                .cloned()
                .collect(),
            None => known
                .filter(|name| !seen.contains(name))
                .map(Into::into)
                .collect(),
        };
        for name in gone {
            let forced = self.forced.remove(&name);
            let entry = self
                .entries
                .get(&*name)
                .map(|entry| (entry.state, entry.explicit));
            match entry {
                Some((Held::Version, _)) if !forced => {
                    self.doomed.insert(name);
                }
                Some((Held::Absent, _)) if !forced => {}
                Some((_, true)) => {
                    self.put_stub(&name, true, Held::Absent);
                    difference.absent.push(name.into());
                }
                Some((_, false)) => {
                    self.entries.remove(&*name);
                    difference.absent.push(name.into());
                }
                None if forced => difference.absent.push(name.into()),
                None => {}
            }
        }
    }

    fn is_explicit(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.explicit)
    }

    fn holds(&self, resource: &SharedResource) -> bool {
        self.entries.get(resource.name()).is_some_and(|entry| {
            entry.state == Held::Version && entry.resource.version() == resource.version()
        })
    }

    /// Holds the same resource by the copy that everybody shares, so that no other stays in memory.
    fn share(&mut self, resource: &SharedResource) {
        let name = resource.name();
        if self
            .entries
            .get(name)
            .is_some_and(|entry| !entry.resource.is_shared_with(resource))
        {
            self.put(resource.clone());
        }
    }

    fn put(&mut self, resource: SharedResource) {
        let (explicit, state) = (self.is_explicit(resource.name()), Held::Version);
        self.entries.replace(Entry {
            resource,
            explicit,
            state,
        });
    }

    fn put_stub(&mut self, name: &str, explicit: bool, state: Held) {
        let resource = SharedResource::reported(name, Version::NONE);
        self.entries.replace(Entry {
            resource,
            explicit,
            state,
        });
    }
}

impl Borrow<str> for Entry {
    fn borrow(&self) -> &str {
        self.resource.name()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.resource == other.resource
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.resource.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_reported_is_replaced_by_the_shared_copy() {
        let kind = ResourceType::Cluster;
        let shared = SharedResource::new(kind, "a", b"1");
        let mut watch = Watch::new(kind);
        watch.open(&DeltaChanges {
            subscribe: &[],
            unsubscribe: &[],
            held: &[("a".to_owned(), shared.version().to_string())].into(),
        });
        let ask = Ask { kind, names: None };
        assert!(
            watch.compare(&ask, [&shared]).changed.is_empty(),
            "it holds this version"
        );
        let held = &watch.entries.get("a").unwrap().resource;
        assert!(held.is_shared_with(&shared));
    }
}
