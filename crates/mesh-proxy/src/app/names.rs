//! Names: the DNS server of the pod, where the rules send queries to it, and the names of clusters' endpoints.

use super::Process;
use crate::{
    dns::{Following, Lookups, ResolvConf, Server},
    worker::Shared,
};
use anyhow::{Context, Result};
use mesh_model::port;
use std::sync::Arc;

/// Binds and serves it until the end of the process, which is not ready before the first names have come.
pub(super) async fn serve(process: &Process, shared: &Shared) -> Result<()> {
    let settings = &process.settings;
    if !settings.captures_dns {
        return Ok(());
    }
    let named = process
        .readiness
        .condition("dns", "no names have come from the control plane yet");
    let path = &settings.paths.resolv_conf;
    let conf = ResolvConf::read(path).unwrap_or_else(|error| {
        let path = path.display();
        tracing::warn!(%error, "{path}: names of the mesh are all that can be resolved");
        ResolvConf::default()
    });
    let domain = &settings.node.id.dns_domain;
    let at = settings.dns_address;
    if at.port != port::DNS {
        let usual = port::DNS;
        tracing::warn!(
            "DNS is served on {at} (DNS_PROXY_ADDR); the rules send captured queries to {usual}"
        );
    }
    let server = Server::bind(at, domain, conf, Arc::clone(&shared.dns)).await;
    let server = server.with_context(|| {
        format!("{at} can't be bound\nhint: does another proxy run in this pod?")
    })?;
    let server = server.following(Following::new(path));
    process.until_the_end("dns", server.run());
    let dns = Arc::clone(&shared.dns);
    process.until_the_end("names", async move {
        dns.names.come().await;
        named.met();
    });
    Ok(())
}

/// The names that the machine itself knows.
const HOSTS: &str = "/etc/hosts";

impl Process {
    /// Does what clusters need beside the path, until the end of the process.
    pub(super) fn keep_clusters_up(&self, shared: &Arc<Shared>) {
        let path = &self.settings.paths.resolv_conf;
        // What can't be read is told of by whoever follows it.
        let conf = ResolvConf::read(path).unwrap_or_default();
        let lookups = Arc::new(Lookups::new(HOSTS, conf));
        let (shared, asked) = (Arc::clone(shared), Arc::clone(&lookups));
        self.until_the_end("clusters", async move {
            shared.clusters.keep_up(&*asked).await;
        });
        let following = Following::new(path);
        self.until_the_end("name servers", async move {
            following.run(|conf| lookups.put_in_force(conf)).await;
        });
    }
}
