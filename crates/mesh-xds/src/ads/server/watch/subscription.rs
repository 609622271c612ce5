//! How requests change what a client is subscribed to.

use std::collections::{HashMap, HashSet};

use super::{Entry, Held, Watch};
use crate::ads::{SharedResource, Version, WILDCARD, server::Interest};

/// The subscription part of a request.
pub(in crate::ads::server) enum Changes<'a> {
    /// SotW: all names, each time.
    Exactly(&'a [String]),
    /// Delta: what changes.
    Delta(DeltaChanges<'a>),
}

/// The subscription part of a delta request.
pub(in crate::ads::server) struct DeltaChanges<'a> {
    pub(in crate::ads::server) subscribe: &'a [String],
    pub(in crate::ads::server) unsubscribe: &'a [String],
    /// In a first request: name → version that the client holds from before.
    pub(in crate::ads::server) held: &'a HashMap<String, String>,
}

impl Watch {
    /// The first delta request of a stream.
    pub(in crate::ads::server) fn open(&mut self, changes: &DeltaChanges<'_>) -> Interest {
        self.wildcard = changes.subscribe.is_empty() && self.kind.is_wildcard();
        changes
            .subscribe
            .iter()
            .for_each(|name| self.subscribe(name));
        for (name, version) in changes.held.iter().filter(|(name, _)| *name != WILDCARD) {
            self.remember(name, version);
        }
        self.unsubscribe_all(changes.unsubscribe);
        // What it holds decides what is sent, rather than that it has asked.
        self.forced.clear();
        self.due = self.is_subscribed();
        Interest::Opened
    }

    /// A later delta request.
    pub(in crate::ads::server) fn change(&mut self, changes: &DeltaChanges<'_>) -> Interest {
        changes
            .subscribe
            .iter()
            .for_each(|name| self.subscribe(name));
        let removed = self.unsubscribe_all(changes.unsubscribe);
        match (changes.subscribe.is_empty(), removed) {
            (false, _) => Interest::Added,
            (true, true) if !self.is_subscribed() => Interest::Unsubscribed,
            (true, true) => Interest::Removed,
            (true, false) => Interest::Unchanged,
        }
    }

    /// A SotW request: in the order of Istio section 3.4.
    pub(in crate::ads::server) fn restate(
        &mut self,
        names: &[String],
        fresh: bool,
        nonce: &str,
    ) -> Interest {
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

    fn subscribe(&mut self, name: &str) {
        self.named = true;
        if name == WILDCARD {
            self.due |= !self.wildcard;
            self.wildcard = true;
            for name in std::mem::take(&mut self.shadow) {
                if !self.entries.contains(&*name) {
                    self.put_stub(&name, false, Held::Version);
                }
            }
            return;
        }
        self.shadow.remove(name);
        // Sent again even if held: the client may have dropped it while it was not subscribed.
        self.forced.insert(name.into());
        match self.entries.take(name) {
            Some(entry) => {
                self.entries.insert(Entry {
                    explicit: true,
                    ..entry
                });
            }
            None => self.put_stub(name, true, Held::Unanswered),
        }
    }

    /// Takes over what a client holds from an earlier stream: subscribed, and the base for removals.
    fn remember(&mut self, name: &str, version: &str) {
        let explicit = !self.wildcard || self.is_explicit(name);
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
            let lost = self.entries.extract_if(|entry| !entry.explicit);
            self.shadow
                .extend(lost.map(|entry| entry.resource.name().into()));
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
        if !self.is_explicit(name) {
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
            self.shadow.insert(name.into());
        }
        true
    }

    /// Replaces the explicit names; says whether any was added, and whether any was removed.
    fn set_names(&mut self, names: &[String], legacy_wildcard: bool) -> (bool, bool) {
        let star = |name: &&str| *name == WILDCARD;
        let wildcard = legacy_wildcard || names.iter().map(String::as_str).any(|name| star(&name));
        let added_all = wildcard && !self.wildcard;
        let removed_all = self.wildcard && !wildcard;
        self.wildcard = wildcard;
        self.named |= !names.is_empty();
        self.due |= added_all;

        let wanted: HashSet<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| !star(name))
            .collect();
        let lost: Vec<String> = self
            .names()
            .filter(|name| !wanted.contains(name))
            .map(Into::into)
            .collect();
        let new: Vec<&str> = wanted
            .into_iter()
            .filter(|name| !self.is_explicit(name))
            .collect();
        for name in &lost {
            self.release(name);
        }
        for name in &new {
            self.subscribe(name);
        }
        if removed_all {
            self.entries.retain(|entry| entry.explicit);
        }
        self.drop_strangers();
        (
            added_all || !new.is_empty(),
            removed_all || !lost.is_empty(),
        )
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
        self.shadow.clear();
    }
}
