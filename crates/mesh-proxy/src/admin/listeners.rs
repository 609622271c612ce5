//! `/listeners`: what is in force, with its addresses.

use super::{Facts, clusters::address, descriptor, query::Query, reply::Reply};
use mesh_xds::pb::envoy::admin::v3 as admin;
use std::{fmt::Write, sync::Arc};

/// The page, as text or as `envoy.admin.v3.Listeners`.
pub(super) fn answer(facts: &Arc<Facts>, query: &Query) -> Reply {
    let listeners = facts.path.listeners();
    if !query.is_json() {
        let mut out = String::new();
        for (name, addresses) in listeners {
            for address in addresses {
                let _ = writeln!(out, "{name}::{address}");
            }
        }
        return Reply::text(out);
    }
    let status = |(name, addresses): (String, Vec<_>)| {
        let mut addresses = addresses.into_iter().map(address);
        admin::ListenerStatus {
            name,
            local_address: addresses.next(),
            additional_local_addresses: addresses.collect(),
        }
    };
    descriptor::page(&admin::Listeners {
        listener_statuses: listeners.into_iter().map(status).collect(),
    })
}
