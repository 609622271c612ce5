//! `/ignored`: what of the received configuration has no effect here. Envoy has no such page; it ignores in silence.

use super::{Facts, query::Query, reply::Reply};
use mesh_xds::ads::ResourceType;
use serde_json::{Value, json};
use std::{fmt::Write, sync::Arc};

/// The page: by type and name, each place with its reason.
pub(super) fn answer(facts: &Arc<Facts>, query: &Query) -> Reply {
    let resources = ResourceType::ALL.into_iter().flat_map(|kind| {
        let entries = facts.received.entries(kind).into_iter();
        entries.filter_map(move |(name, entry)| Some((kind, name, entry.latest?.ignored)))
    });
    let resources = resources.filter(|(_, _, ignored)| !ignored.is_empty());
    if query.is_json() {
        let one = |(kind, name, ignored): (ResourceType, String, Vec<String>)| json!({ "type": kind.short(), "name": name, "ignored": ignored });
        let all: Vec<Value> = resources.map(one).collect();
        return Reply::json(&json!({ "resources": all }));
    }
    let mut out = String::new();
    for (kind, name, ignored) in resources {
        for place in ignored {
            let _ = writeln!(out, "{} {name}: {place}", kind.short());
        }
    }
    Reply::text(out)
}
