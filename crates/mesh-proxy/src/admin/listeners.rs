//! `/listeners`: what is in force, with its addresses.

use super::{Facts, clusters::address, descriptor, query::Query, reply::Reply};
use crate::listener::Listener;
use mesh_xds::pb::envoy::admin::v3 as admin;
use std::{fmt::Write, sync::Arc};

/// The page, as text or as `envoy.admin.v3.Listeners`.
pub(super) fn answer(facts: &Arc<Facts>, query: &Query) -> Reply {
    let listeners = facts.shared.listeners.active();
    if !query.is_json() {
        let mut out = String::new();
        for Listener { model, .. } in listeners.iter().map(|listener| &**listener) {
            for address in [&model.address]
                .into_iter()
                .chain(&model.additional_addresses)
            {
                let _ = writeln!(out, "{}::{address}", model.name);
            }
        }
        return Reply::text(out);
    }
    let status = |Listener { model, .. }: &Listener| admin::ListenerStatus {
        name: model.name.to_string(),
        local_address: Some(address(model.address)),
        additional_local_addresses: model
            .additional_addresses
            .iter()
            .copied()
            .map(address)
            .collect(),
    };
    descriptor::page(&admin::Listeners {
        listener_statuses: listeners.iter().map(|listener| status(listener)).collect(),
    })
}
