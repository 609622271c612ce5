//! What the owner of a server is asked to supply, and what the answer is stamped with.

use std::{collections::BTreeSet, time::SystemTime};

use crate::ads::ResourceType;

/// What a response is stamped with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The version of the push, for people and for SotW's `version_info`.
    pub version: String,
    /// The time of sending.
    pub now: SystemTime,
}

/// A response that is due or wanted: say which resources there are, and [`Server::answer`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub(super) kind: ResourceType,
    pub(super) names: Option<BTreeSet<Box<str>>>,
}

impl Ask {
    /// The type to supply.
    pub fn kind(&self) -> ResourceType {
        self.kind
    }

    /// The names to supply; `None` for everything that the client should have of the type.
    ///
    /// For a type that a client asks for by name, everything may be narrowed to [`Server::names`].
    pub fn names(&self) -> Option<impl Iterator<Item = &str>> {
        self.names
            .as_ref()
            .map(|names| names.iter().map(AsRef::as_ref))
    }

    pub(super) fn covers(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(name))
    }
}
