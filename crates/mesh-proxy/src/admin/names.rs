//! `/debug/ndsz` of the agent's port: the names that the pod's DNS server answers, as they came.

use super::{
    Facts,
    descriptor::Descriptors,
    reply::{Reply, pretty},
};
use mesh_xds::{ads::ResourceType, pb::istio::nds::NameTable};
use prost::Name;
use std::io;

/// The page: Istio's table as JSON; an empty one if none has come.
pub(super) fn answer(facts: &Facts) -> Reply {
    let entries = facts.received.entries(ResourceType::NameTable);
    let latest = entries.into_iter().find_map(|(_, entry)| entry.latest);
    let bytes = latest.map(|table| table.bytes).unwrap_or_default();
    Reply::json_writer(move |out| {
        let table = Descriptors::load().print(&NameTable::full_name(), &bytes);
        pretty(&table.map_err(io::Error::other)?, out)
    })
}
