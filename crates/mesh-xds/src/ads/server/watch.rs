//! What one client is subscribed to of one type, and what it holds of it.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap, HashSet},
    hash::{Hash, Hasher},
};

use super::{Ask, Interest, record::Record};
use crate::ads::{ResourceType, SharedResource, Version, WILDCARD};

/// The subscription part of a request.
pub(super) enum Changes<'a> {
    /// SotW: all names, each time.
    Exactly(&'a [String]),
    /// Delta: what changes, and in a first request what the client holds from before.
    Delta {
        subscribe: &'a [String],
        unsubscribe: &'a [String],
        held: &'a HashMap<String, String>,
    },
}

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
        self.wildcard || self.entries.get(name).is_some_and(|entry| entry.explicit)
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

    /// The first delta request of a stream.
    pub(super) fn open(&mut self, changes: &Changes<'_>) -> Interest {
        let Changes::Delta {
            subscribe,
            unsubscribe,
            held,
        } = changes
        else {
            return Interest::Unchanged;
        };
        self.wildcard = subscribe.is_empty() && self.kind.is_wildcard();
        for name in *subscribe {
            self.subscribe(name);
        }
        for (name, version) in held.iter().filter(|(name, _)| *name != WILDCARD) {
            self.remember(name, version);
        }
        self.unsubscribe_all(unsubscribe);
        // What it holds decides what is sent, rather than that it has asked.
        self.forced.clear();
        self.due = self.is_subscribed();
        Interest::Opened
    }

    /// A later delta request.
    pub(super) fn change(&mut self, changes: &Changes<'_>) -> Interest {
        let Changes::Delta {
            subscribe,
            unsubscribe,
            ..
        } = changes
        else {
            return Interest::Unchanged;
        };
        for name in *subscribe {
            self.subscribe(name);
        }
        let removed = self.unsubscribe_all(unsubscribe);
        match (subscribe.is_empty(), removed) {
            (false, _) => Interest::Added,
            (true, true) if !self.is_subscribed() => Interest::Unsubscribed,
            (true, true) => Interest::Removed,
            (true, false) => Interest::Unchanged,
        }
    }

    /// A SotW request: in the order of Istio section 3.4.
    pub(super) fn restate(&mut self, names: &[String], fresh: bool, nonce: &str) -> Interest {
        let legacy_wildcard = names.is_empty() && !self.named && self.kind.is_wildcard();
        if names.is_empty() && !legacy_wildcard {
            self.clear();
            return Interest::Unsubscribed;
        }
        let anew = fresh || nonce.is_empty() || !self.is_subscribed();
        if !anew && !self.record.is_current(nonce) {
            return Interest::Unchanged;
        }
        let (added, removed) = self.set_names(names, legacy_wildcard);
        match (anew, added, removed) {
            (true, ..) => {
                self.forget_versions();
                self.due = true;
                Interest::Opened
            }
            (false, true, _) => Interest::Added,
            (false, false, true) => Interest::Removed,
            (false, false, false) => Interest::Unchanged,
        }
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
                self.put(resource.clone(), Held::Version);
                difference.changed.push(resource.clone());
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
                _ => drop(self.entries.remove(&**name)),
            }
        }
        doomed.into_iter().map(Into::into).collect()
    }

    /// Everything within the ask that was not among the resources.
    fn lose(&mut self, ask: &Ask, seen: &HashSet<&str>, difference: &mut Difference) {
        let gone: Vec<Box<str>> = match &ask.names {
            Some(names) => names
                .iter()
                .filter(|name| !seen.contains(&***name))
                .cloned()
                .collect(),
            None => {
                let all = self
                    .entries
                    .iter()
                    .map(|entry| entry.resource.name())
                    .chain(self.forced.iter().map(|name| &**name));
                all.filter(|name| !seen.contains(name))
                    .map(Into::into)
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect()
            }
        };
        for name in gone {
            let forced = self.forced.remove(&name);
            let entry = self
                .entries
                .get(&*name)
                .map(|entry| (entry.state, entry.explicit));
            match entry {
                Some((Held::Version, _)) if !forced => drop(self.doomed.insert(name)),
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

    fn holds(&self, resource: &SharedResource) -> bool {
        self.entries.get(resource.name()).is_some_and(|entry| {
            entry.state == Held::Version && entry.resource.version() == resource.version()
        })
    }

    fn put(&mut self, resource: SharedResource, state: Held) {
        let explicit = self
            .entries
            .get(resource.name())
            .is_some_and(|entry| entry.explicit);
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

    fn subscribe(&mut self, name: &str) {
        self.named = true;
        if name == WILDCARD {
            self.due |= !self.wildcard;
            self.wildcard = true;
            return;
        }
        // Sent again even if held: the client may have dropped it while it was not subscribed.
        self.forced.insert(name.into());
        match self.entries.take(name) {
            Some(entry) => drop(self.entries.insert(Entry {
                explicit: true,
                ..entry
            })),
            None => self.put_stub(name, true, Held::Unanswered),
        }
    }

    /// Takes over what a client holds from an earlier stream: subscribed, and the base for removals.
    fn remember(&mut self, name: &str, version: &str) {
        let explicit = !self.wildcard || self.entries.get(name).is_some_and(|entry| entry.explicit);
        // A version that is not of our form comes from another control plane, and is no version of ours.
        let version = version.parse().unwrap_or(Version::NONE);
        let resource = SharedResource::reported(name, version);
        self.entries.replace(Entry {
            resource,
            explicit,
            state: Held::Version,
        });
    }

    /// Whether a subscription went; phantoms are ignored.
    fn unsubscribe_all(&mut self, names: &[String]) -> bool {
        names
            .iter()
            .fold(false, |any, name| self.unsubscribe(name) | any)
    }

    fn unsubscribe(&mut self, name: &str) -> bool {
        if name == WILDCARD {
            let was = std::mem::take(&mut self.wildcard);
            self.entries.retain(|entry| entry.explicit);
            self.drop_strangers();
            return was;
        }
        let was = self.release(name);
        if was && self.wildcard {
            // The client cannot know whether the wildcard covers the name, and is told.
            self.forced.insert(name.into());
        }
        was
    }

    /// Ends an explicit subscription; whether there was one.
    fn release(&mut self, name: &str) -> bool {
        if !self.entries.get(name).is_some_and(|entry| entry.explicit) {
            return false;
        }
        self.forced.remove(name);
        let Some(entry) = self.entries.take(name) else {
            return false;
        };
        if self.wildcard {
            self.entries.insert(Entry {
                explicit: false,
                ..entry
            });
        } else {
            self.doomed.remove(name);
        }
        true
    }

    /// Replaces the explicit names; says whether any was added, and whether any was removed.
    fn set_names(&mut self, names: &[String], legacy_wildcard: bool) -> (bool, bool) {
        let wildcard = legacy_wildcard || names.iter().any(|name| name == WILDCARD);
        let added_all = wildcard && !self.wildcard;
        let removed_all = self.wildcard && !wildcard;
        self.wildcard = wildcard;
        self.named |= !names.is_empty();
        self.due |= added_all;
        let wanted: HashSet<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| *name != WILDCARD)
            .collect();
        let before: Vec<String> = self.names().map(Into::into).collect();
        let mut removed = removed_all;
        for name in before.iter().filter(|name| !wanted.contains(name.as_str())) {
            removed |= self.release(name);
        }
        let before: HashSet<&str> = before.iter().map(String::as_str).collect();
        let mut added = added_all;
        for name in wanted.difference(&before) {
            self.subscribe(name);
            added = true;
        }
        if removed_all {
            self.entries.retain(|entry| entry.explicit);
        }
        self.drop_strangers();
        (added, removed)
    }

    /// What is due or doomed, only for names that are still known.
    fn drop_strangers(&mut self) {
        let Self {
            entries,
            forced,
            doomed,
            ..
        } = self;
        forced.retain(|name| entries.contains(&**name));
        doomed.retain(|name| entries.contains(&**name));
    }

    /// A SotW client that starts anew is sent everything: its version says nothing of single resources.
    fn forget_versions(&mut self) {
        let names: Vec<String> = self.names().map(Into::into).collect();
        self.entries.clear();
        self.forced.clear();
        self.doomed.clear();
        for name in names {
            self.put_stub(&name, true, Held::Unanswered);
        }
    }

    fn clear(&mut self) {
        self.wildcard = false;
        self.due = false;
        self.entries.clear();
        self.forced.clear();
        self.doomed.clear();
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
