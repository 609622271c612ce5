//! What every stream reads: the world of the last push, and what the pushes before it changed.

use super::cache::Cache;
use crate::{
    snapshot::{Change, World},
    translate::{self, Conflict, Key, Proxy},
};
use mesh_model::{ClusterName, RouteName};
use mesh_xds::ads::{ResourceType, SharedResource};
use std::{collections::VecDeque, sync::Arc};
use tokio::time::Instant;

/// Pushes whose changes are remembered; a stream that is further behind looks at everything.
const HISTORY: usize = 64;

/// One push.
#[derive(Clone, Debug)]
pub struct Published {
    /// Counts pushes, from 1.
    pub generation: u64,
    /// Its version, for people: time and generation.
    pub version: Arc<str>,
    /// The world.
    pub world: World,
    /// What objects of it claim and do not get.
    pub conflicts: Arc<[Conflict]>,
    /// When the first of its changes came.
    pub changed_at: Instant,
    /// When it was published.
    pub published_at: Instant,
    cache: Arc<Cache>,
    /// What this push and those before it changed, this one last.
    history: VecDeque<Arc<Change>>,
}

impl Published {
    /// The first push.
    pub fn first(world: World) -> Self {
        let now = Instant::now();
        Self {
            generation: 1,
            version: version(1),
            conflicts: translate::conflicts(&world),
            world,
            changed_at: now,
            published_at: now,
            cache: Arc::default(),
            history: VecDeque::new(),
        }
    }

    /// The push after this one.
    pub fn next(&self, world: World, change: Change, changed_at: Instant) -> Self {
        let generation = self.generation + 1;
        let conflicts = match change.full {
            true => translate::conflicts(&world),
            false => self.conflicts.clone(),
        };
        self.cache.changed(generation, &change);
        let mut history = self.history.clone();
        history.push_back(Arc::new(change));
        if history.len() > HISTORY {
            history.pop_front();
        }
        Self {
            generation,
            version: version(generation),
            world,
            conflicts,
            changed_at,
            published_at: Instant::now(),
            cache: self.cache.clone(),
            history,
        }
    }

    /// All that has changed since push `generation`.
    pub fn change_since(&self, generation: u64) -> Change {
        let missed =
            usize::try_from(self.generation.saturating_sub(generation)).unwrap_or(usize::MAX);
        if missed > self.history.len() {
            return Change::everything();
        }
        let mut all = Change::default();
        for change in self.history.iter().skip(self.history.len() - missed) {
            all.merge(Change::clone(change));
        }
        all
    }

    /// All that `proxy` should have of a type. Of a type that is asked for by name, those of `names` that there are.
    pub fn resources<'a>(
        &self,
        proxy: &Proxy,
        kind: ResourceType,
        names: impl Iterator<Item = &'a str>,
    ) -> Vec<SharedResource> {
        match kind {
            ResourceType::Cluster => self.all(&Key::clusters(&self.world, proxy)),
            ResourceType::Listener => self.all(&Key::listeners(&self.world, proxy)),
            ResourceType::Route => {
                let keys: Vec<_> = names
                    .map(|name| Key::route(&self.world, proxy, &RouteName::from(name)))
                    .collect();
                self.all(&keys)
            }
            ResourceType::Endpoint => names.map(|name| self.endpoints(proxy, name)).collect(),
            ResourceType::NameTable => self.all(&[Key::name_table(&self.world, proxy)]),
            // Certificates never leave the pod: its agent serves them. The others are not made here.
            ResourceType::Secret | ResourceType::ExtensionConfig | ResourceType::ProxyConfig => {
                Vec::new()
            }
        }
    }

    /// What is encoded so far.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    fn all(&self, keys: &[Key]) -> Vec<SharedResource> {
        let encoded = keys
            .iter()
            .map(|key| self.cache.get(key, self.generation, &self.world));
        encoded.flat_map(|encoded| encoded.to_vec()).collect()
    }

    fn endpoints(&self, proxy: &Proxy, name: &str) -> SharedResource {
        let key = Key::endpoints(&self.world, proxy, &ClusterName::from(name));
        self.cache
            .endpoints(&key, name, self.generation, &self.world)
    }
}

/// Istio's form: the time, and a counter for pushes of the same second.
fn version(generation: u64) -> Arc<str> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("{now}/{generation}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::ClusterIdentity;

    fn endpoints_of(host: &str) -> Change {
        Change {
            endpoints: [Arc::from(host)].into(),
            ..Change::default()
        }
    }

    fn after(pushes: usize) -> Published {
        let first = Published::first(World::empty(ClusterIdentity::default()));
        (0..pushes).fold(first, |last, push| {
            last.next(
                last.world.clone(),
                endpoints_of(&push.to_string()),
                Instant::now(),
            )
        })
    }

    #[test]
    fn missed_pushes_are_merged() {
        let last = after(3);
        assert_eq!(last.generation, 4);
        assert!(last.change_since(4).is_empty());
        assert_eq!(last.change_since(3), endpoints_of("2"));
        let two = last.change_since(2);
        assert_eq!(
            two.endpoints.iter().map(|h| &**h).collect::<Vec<_>>(),
            ["1", "2"]
        );
    }

    #[test]
    fn who_is_too_far_behind_looks_at_everything() {
        let last = after(HISTORY + 1);
        assert!(!last.change_since(2).full);
        assert!(last.change_since(1).full);
        assert!(last.change_since(0).full);
    }

    #[test]
    fn versions_tell_time_and_push() {
        let version = after(1).version;
        assert!(
            version.ends_with("Z/2") && version.starts_with("20"),
            "{version}"
        );
    }
}
