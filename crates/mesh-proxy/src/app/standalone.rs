//! A proxy of its own: no capture, no control plane, no certificate of a mesh; what its bootstrap says, for its life.

use super::{LAST_LINES, Process, bind, shared};
use crate::{
    admin::Surface,
    config::Settings,
    identity, memory,
    reason::one_line,
    upstream::Warmth,
    worker::{Shared, Workers},
    xds::{Applier, Store},
};
use anyhow::{Context, Result, bail};
use mesh_model::listener::Listener;
use mesh_xds::{
    ads::{Resource, ResourceType, Update},
    bootstrap::Bootstrap,
    resource::Resource as _,
};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::watch;

/// Runs it to its end.
pub(super) fn run(settings: Settings, bootstrap: Bootstrap) -> Result<()> {
    let process = Process::new(settings)?;
    let addresses = addresses(&bootstrap.listeners)?;
    let shared = Arc::new(shared(&process.settings, addresses.clone()));
    let store = Arc::new(Store::default());
    let has_admin = bootstrap.admin.is_some();
    apply(bootstrap, &shared, &store)?;
    // What reading took.
    memory::give_back();
    let sockets: Vec<_> = addresses
        .into_iter()
        .map(|address| Ok((address, bind(address)?)))
        .collect::<Result<_>>()?;
    let workers = Workers::start(process.settings.concurrency.get(), &shared, &sockets)
        .context("worker threads")?;
    let telemetry = shared.telemetry.clone();
    let outcome = process.block_on(|process| async move {
        let identity = watch::Sender::<identity::Status>::default().subscribe();
        let surfaces: &[Surface] = if has_admin { &[Surface::Admin] } else { &[] };
        process
            .serve(&shared, &store, identity, surfaces, workers)
            .await
    });
    telemetry.finish_logs(LAST_LINES);
    outcome
}

/// Where its listeners accept.
fn addresses(listeners: &[Resource]) -> Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for resource in listeners {
        let listener = Listener::decode(&resource.bytes);
        let listener = listener.with_context(|| format!("listener {}", resource.name))?;
        if !listener.value.bind_to_port {
            continue;
        }
        if addresses.contains(&listener.value.address) {
            let address = listener.value.address;
            bail!(
                "listener {}: another one listens on {address}",
                resource.name
            );
        }
        addresses.push(listener.value.address);
    }
    Ok(addresses)
}

/// Puts in force what it says: what others refer to first.
fn apply(bootstrap: Bootstrap, shared: &Arc<Shared>, store: &Arc<Store>) -> Result<()> {
    for secret in bootstrap.secrets {
        let name = secret.name.clone();
        let set = shared.secrets.set(secret);
        set.map_err(|error| anyhow::anyhow!("secret {name}: {}", one_line(&error)))?;
    }
    let mut applier = Applier::new(Arc::clone(shared), Arc::clone(store));
    for (kind, added) in [
        (ResourceType::Cluster, bootstrap.clusters),
        (ResourceType::Listener, bootstrap.listeners),
    ] {
        let refused = applier.apply(&Update {
            kind,
            version: String::new(),
            added,
            removed: Vec::new(),
            ignored: Vec::new(),
        });
        if let Some(refused) = refused.first() {
            bail!("{} {}: {}", kind.short(), refused.name, refused.reason);
        }
    }
    let waiting: Vec<_> = [ResourceType::Cluster, ResourceType::Listener]
        .into_iter()
        .flat_map(|kind| crate::xds::Target::warming(&**shared, kind))
        // Names are looked up while it runs.
        .filter(|name| shared.clusters.warmth(&name.as_str().into()) != Some(Warmth::WaitsForNames))
        .collect();
    if !waiting.is_empty() {
        bail!(
            "what they wait for is not in the bootstrap: {}\nhint: endpoints, routes and secrets have to stand in it",
            waiting.join(", ")
        );
    }
    Ok(())
}
