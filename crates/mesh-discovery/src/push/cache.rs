//! Encoded resources, shared by all proxies whose keys are equal.
//!
//! One cache lives as long as the process. An entry knows which push it was built for, and a push says what it changed;
//! an entry holds as long as nothing that it depends on has changed since. So a push costs what it changes, and a
//! stream that is still at an older push is never handed anything newer or older than its world.

use crate::{
    snapshot::{Change, World},
    translate::{Key, Resource},
};
use mesh_model::ClusterName;
use mesh_model::endpoint::ClusterLoadAssignment;
use mesh_xds::ads::{ResourceType, SharedResource};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// What a key builds, encoded.
pub type Encoded = Arc<[SharedResource]>;

/// The cache.
#[derive(Debug, Default)]
pub struct Cache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Push that last changed everything.
    full_at: u64,
    /// Push that last changed the endpoints of a host, since then.
    endpoints_at: HashMap<Arc<str>, u64>,
    slots: HashMap<Key, Arc<Slot>>,
}

/// Filled once, by whoever needs it first; others wait for that.
#[derive(Debug)]
struct Slot {
    built_for: u64,
    encoded: OnceLock<Encoded>,
    before: Option<Encoded>,
}

impl Cache {
    /// Takes note of what push `generation` changes. To be called before anybody sees its world.
    pub fn changed(&self, generation: u64, change: &Change) {
        let mut state = self.state.lock();
        if change.full {
            let before = std::mem::replace(&mut state.full_at, generation);
            state.endpoints_at.clear();
            // What nobody has asked for since the last time is forgotten.
            state.slots.retain(|_, slot| slot.built_for >= before);
        } else {
            let hosts = change
                .endpoints
                .iter()
                .map(|host| (host.clone(), generation));
            state.endpoints_at.extend(hosts);
        }
    }

    /// What `key` builds in the world of push `generation`. Unknown names build nothing, and are not remembered.
    pub fn get(&self, key: &Key, generation: u64, world: &World) -> Encoded {
        let slot = self.slot(key, generation);
        let encoded = slot
            .encoded
            .get_or_init(|| encode(key.build(world), slot.before.as_deref()));
        if encoded.is_empty() {
            self.forget(key, &slot);
        }
        encoded.clone()
    }

    /// The endpoints of a cluster; an empty set if it is not known, since a cluster that gets no answer never warms.
    pub fn endpoints(
        &self,
        key: &Key,
        name: &str,
        generation: u64,
        world: &World,
    ) -> SharedResource {
        let known = self.get(key, generation, world);
        known.first().cloned().unwrap_or_else(|| {
            share(
                ResourceType::Endpoint,
                &ClusterLoadAssignment::new(ClusterName::from(name)),
            )
        })
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.state.lock().slots.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn slot(&self, key: &Key, generation: u64) -> Arc<Slot> {
        let mut state = self.state.lock();
        let changed_at = state.changed_at(key);
        let there = state.slots.get(key);
        if let Some(slot) = there
            && slot.built_for >= changed_at
            && generation >= changed_at
        {
            return slot.clone();
        }
        let slot = Arc::new(Slot {
            built_for: generation,
            encoded: OnceLock::new(),
            before: there.and_then(|slot| slot.encoded.get().cloned()),
        });
        // A stream that lags behind builds for itself.
        if generation >= changed_at {
            state.slots.insert(key.clone(), slot.clone());
        }
        slot
    }

    fn forget(&self, key: &Key, slot: &Arc<Slot>) {
        let mut state = self.state.lock();
        if state
            .slots
            .get(key)
            .is_some_and(|there| Arc::ptr_eq(there, slot))
        {
            state.slots.remove(key);
        }
    }
}

impl State {
    fn changed_at(&self, key: &Key) -> u64 {
        let endpoints = key
            .endpoints_of()
            .and_then(|host| self.endpoints_at.get(host));
        endpoints.copied().unwrap_or(0).max(self.full_at)
    }
}

/// Encodes, and keeps the bytes of what has not changed: they may be held for many streams.
fn encode(built: Vec<Resource>, before: Option<&[SharedResource]>) -> Encoded {
    let before: HashMap<&str, &SharedResource> = before
        .unwrap_or_default()
        .iter()
        .map(|r| (r.name(), r))
        .collect();
    let encoded = built.iter().map(encode_one);
    encoded
        .map(|new| match before.get(new.name()) {
            Some(old) if old.version() == new.version() => (*old).clone(),
            _ => new,
        })
        .collect()
}

fn encode_one(resource: &Resource) -> SharedResource {
    match resource {
        Resource::Cluster(r) => share(ResourceType::Cluster, &**r),
        Resource::Listener(r) => share(ResourceType::Listener, &**r),
        Resource::Route(r) => share(ResourceType::Route, &**r),
        Resource::Endpoints(r) => share(ResourceType::Endpoint, &**r),
        Resource::NameTable(r) => share(ResourceType::NameTable, &**r),
    }
}

fn share<T: mesh_xds::resource::Resource>(kind: ResourceType, resource: &T) -> SharedResource {
    SharedResource::new(kind, resource.name(), &resource.encode())
}

#[cfg(test)]
mod tests;
