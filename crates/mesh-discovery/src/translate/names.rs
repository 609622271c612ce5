//! The names that a sidecar's DNS server answers itself: what the cluster's own would say of Services.
//!
//! Shorter forms of a name, and those with a search domain behind, are the sidecar's business. Aliases (`ExternalName`)
//! are left to the cluster's server, which knows what stands behind them.

use super::{endpoint, family::Families};
use crate::snapshot::{Service, ServiceEndpoint, World};
use mesh_model::name_table::{NameInfo, NameTable, ServiceName};
use std::{net::IpAddr, sync::Arc};

/// All names, with the addresses that a pod of these IP versions can reach.
pub(super) fn table(world: &World, families: Families) -> NameTable {
    let mut table = NameTable::default();
    for service in world.services().iter().filter(|s| !s.is_alias()) {
        match service.is_headless() {
            true => headless(world, service, families, &mut table),
            false => {
                let addresses = service.addresses().iter().copied();
                let reached = addresses.filter(|a| families.reach(*a)).collect();
                add(&mut table, &service.host, &service.name, service, reached);
            }
        }
    }
    table
}

/// All its pods under its own name, and each that has one under the pod's name.
fn headless(world: &World, service: &Service, families: Families, table: &mut NameTable) {
    let endpoints = world.endpoints(&service.host).iter();
    let known = endpoints.filter(|e| families.reach(e.address) && endpoint::ready(service, e));
    let known: Vec<&ServiceEndpoint> = known.collect();
    for pod in &known {
        if let Some(hostname) = &pod.hostname {
            let host = format!("{hostname}.{}", service.host);
            let name = format!("{hostname}.{}", service.name);
            add(table, &host, &name, service, vec![pod.address]);
        }
    }
    let addresses = known.iter().map(|e| e.address).collect();
    add(table, &service.host, &service.name, service, addresses);
}

/// Adds addresses to a name. Without any it is not ours to answer: it may be that they have not been assigned yet.
fn add(table: &mut NameTable, host: &str, name: &str, service: &Service, addresses: Vec<IpAddr>) {
    if addresses.is_empty() {
        return;
    }
    let info = table
        .names
        .entry(Arc::from(host))
        .or_insert_with(|| NameInfo {
            addresses: Vec::new(),
            service: Some(ServiceName {
                name: name.into(),
                namespace: service.namespace.clone(),
            }),
        });
    for address in addresses {
        if !info.addresses.contains(&address) {
            info.addresses.push(address);
        }
    }
}
