//! What the proxy holds under one name, sorted by what it does with it.

use crate::{
    admin::Facts,
    xds::{
        Target,
        store::{Entry, Received, Refusal},
    },
};
use mesh_xds::ads::ResourceType;

/// What the proxy holds under one name.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Its name.
    pub(super) name: String,
    /// In force.
    pub(super) active: Option<Received>,
    /// Accepted; waits for what it depends on.
    pub(super) warming: Option<Received>,
    /// The last update, if it was refused.
    pub(super) refused: Option<Refusal>,
}

impl Held {
    /// All that is held of a type, by name.
    pub(super) fn all(facts: &Facts, kind: ResourceType) -> Vec<Self> {
        let warming = facts.shared.warming(kind);
        let sort = |(name, entry): (String, Entry)| {
            let waits = warming.contains(&name);
            Self::new(name, entry, waits)
        };
        facts.received.entries(kind).into_iter().map(sort).collect()
    }

    fn new(name: String, entry: Entry, waits: bool) -> Self {
        let Entry {
            latest,
            previous,
            refused,
        } = entry;
        let (active, warming) = match waits {
            true => (previous, latest),
            false => (latest, None),
        };
        Self {
            name,
            active,
            warming,
            refused,
        }
    }
}
