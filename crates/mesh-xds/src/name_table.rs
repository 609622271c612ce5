//! The names of the mesh ↔ Istio's `NameTable`.

use crate::{
    decode::{self, At},
    pb::istio::nds as wire,
    resource::{Decoded, Invalid, Resource, ResourceType},
};
use bytes::Bytes;
use mesh_model::name_table::{NameInfo, NameTable, ServiceName};
use prost::Message;
use std::{mem::take, net::IpAddr, sync::Arc};

/// Registry of the names that are Services.
const KUBERNETES: &str = "Kubernetes";
/// Registry of all others.
const EXTERNAL: &str = "External";

impl Resource for NameTable {
    const KIND: ResourceType = ResourceType::NameTable;

    /// There is one table a proxy, and Istio gives it no name.
    fn name(&self) -> &str {
        ""
    }

    fn encode(&self) -> Bytes {
        encode_table(self).encode_to_vec().into()
    }

    fn decode(bytes: &[u8]) -> Result<Decoded<Self>, Invalid> {
        decode::decode(bytes, decode_table)
    }
}

fn encode_table(table: &NameTable) -> wire::NameTable {
    let entry = |(name, info): (&Arc<str>, &NameInfo)| (name.to_string(), encode_info(info));
    wire::NameTable {
        table: table.names.iter().map(entry).collect(),
        name_info: None,
    }
}

fn encode_info(info: &NameInfo) -> wire::name_table::NameInfo {
    let service = info.service.as_ref();
    let text = |part: fn(&ServiceName) -> &Arc<str>| {
        service.map(|s| part(s).to_string()).unwrap_or_default()
    };
    wire::name_table::NameInfo {
        ips: info.addresses.iter().map(IpAddr::to_string).collect(),
        registry: service.map_or(EXTERNAL, |_| KUBERNETES).into(),
        shortname: text(|s| &s.name),
        namespace: text(|s| &s.namespace),
    }
}

/// A resource for each name, which `name_info` would be, is not asked for, and therefore refused.
fn decode_table(mut wire: wire::NameTable, at: &At<'_>) -> Option<NameTable> {
    let table = at.field("table");
    let entry = |(name, info): (String, wire::name_table::NameInfo)| {
        let info = decode_info(info, &table.key(&name));
        (name.into(), info)
    };
    let names = take(&mut wire.table).into_iter().map(entry).collect();
    at.finish(wire);
    Some(NameTable { names })
}

fn decode_info(wire: wire::name_table::NameInfo, at: &At<'_>) -> NameInfo {
    let is_service = wire.registry == KUBERNETES;
    let is_named = !wire.shortname.is_empty() && !wire.namespace.is_empty();
    let ips = at.field("ips");
    // A name must not go unanswered because one of its addresses, or another name's, is none.
    let address = |(index, text): (usize, &String)| {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            ips.index(index).ignore("it is no IP address");
        }
        parsed
    };
    NameInfo {
        addresses: wire.ips.iter().enumerate().filter_map(address).collect(),
        service: (is_service && is_named).then(|| ServiceName {
            name: wire.shortname.into(),
            namespace: wire.namespace.into(),
        }),
    }
}

#[cfg(test)]
mod tests;
