//! Numbers that somebody else keeps, under Envoy's names, for whoever reads `/stats`.

use crate::{
    identity,
    telemetry::{Scope, Stat},
    upstream::status::ClusterStatus,
    worker::Shared,
    xds::{Store, Target},
};
use mesh_model::name::XDS_CLUSTER;
use mesh_runtime::readiness::Readiness;
use mesh_xds::ads::ResourceType;
use std::{
    fs,
    num::NonZeroUsize,
    sync::{Arc, Weak},
    time::{Instant, SystemTime},
};
use tokio::sync::watch;

/// Where the numbers come from.
pub(super) struct Sources {
    pub(super) started: Instant,
    pub(super) concurrency: NonZeroUsize,
    pub(super) readiness: Readiness,
    pub(super) store: Arc<Store>,
    pub(super) identity: watch::Receiver<identity::Status>,
    // The telemetry that asks us is a part of it.
    pub(super) shared: Weak<Shared>,
}

const SERVER: Scope = Scope::Process("server");
const CLUSTER_MANAGER: Scope = Scope::Process("cluster_manager");
const LISTENER_MANAGER: Scope = Scope::Process("listener_manager");

impl Sources {
    /// Appends all of them.
    pub(super) fn read(&self, out: &mut Vec<Stat>) {
        self.server(out);
        self.configuration(out);
        if let Some(shared) = self.shared.upgrade() {
            in_force(&shared, out);
        }
    }

    fn server(&self, out: &mut Vec<Stat>) {
        let mut gauge = |name, value| out.push(Stat::gauge(SERVER, name, value));
        let is_live = self.readiness.check().is_ok();
        gauge("live", is_live.into());
        gauge("uptime", self.started.elapsed().as_secs());
        gauge("concurrency", self.concurrency.get() as u64);
        let [anonymous, resident] = memory();
        gauge("memory_allocated", anonymous);
        gauge("memory_heap_size", anonymous);
        gauge("memory_physical_size", resident);
        let identity = self.identity.borrow();
        if let Some(end) = identity.not_after {
            let left = end.duration_since(SystemTime::now()).unwrap_or_default();
            gauge("days_until_first_cert_expiring", left.as_secs() / 86_400);
        }
    }

    fn configuration(&self, out: &mut Vec<Stat>) {
        let stats = |kind| self.store.stats(kind);
        let [cds, eds, lds, rds] = [
            stats(ResourceType::Cluster),
            stats(ResourceType::Endpoint),
            stats(ResourceType::Listener),
            stats(ResourceType::Route),
        ];
        let mut counter = |scope: &Scope, name, value| {
            out.push(Stat::counter(scope.clone(), name, value));
        };
        counter(&CLUSTER_MANAGER, "cds.update_attempt", cds.update_attempt);
        counter(&CLUSTER_MANAGER, "cds.update_success", cds.update_success);
        counter(&CLUSTER_MANAGER, "cds.update_rejected", cds.update_rejected);
        counter(&LISTENER_MANAGER, "lds.update_attempt", lds.update_attempt);
        counter(&LISTENER_MANAGER, "lds.update_success", lds.update_success);
        counter(
            &LISTENER_MANAGER,
            "lds.update_rejected",
            lds.update_rejected,
        );
        // Envoy counts these for each cluster and each table; here they are the sums.
        counter(&CLUSTER_MANAGER, "eds.update_success", eds.update_success);
        counter(&CLUSTER_MANAGER, "eds.update_rejected", eds.update_rejected);
        counter(&LISTENER_MANAGER, "rds.update_success", rds.update_success);
        counter(
            &LISTENER_MANAGER,
            "rds.update_rejected",
            rds.update_rejected,
        );
        let connection = self.store.connection();
        let plane = Scope::Cluster(XDS_CLUSTER.into());
        counter(&plane, "upstream_cx_total", connection.streams);
        counter(&plane, "upstream_cx_connect_fail", connection.failures);
        let connected = connection.is_connected.into();
        out.push(Stat::gauge(plane, "upstream_cx_active", connected));
        let plane = Scope::Process("control_plane");
        out.push(Stat::gauge(plane, "connected_state", connected));
    }
}

/// What is in force, and what its hosts do now. Totals of hosts are not added up: they would fall with every host that
/// goes.
fn in_force(shared: &Shared, out: &mut Vec<Stat>) {
    let clusters = shared.clusters.status();
    let waiting = |kind| shared.warming(kind).len() as u64;
    let mut gauge = |scope: &Scope, name, value| out.push(Stat::gauge(scope.clone(), name, value));
    gauge(&CLUSTER_MANAGER, "active_clusters", clusters.len() as u64);
    gauge(
        &CLUSTER_MANAGER,
        "warming_clusters",
        waiting(ResourceType::Cluster),
    );
    let listeners = shared.listeners.active().len() as u64;
    gauge(&LISTENER_MANAGER, "total_listeners_active", listeners);
    gauge(
        &LISTENER_MANAGER,
        "total_listeners_warming",
        waiting(ResourceType::Listener),
    );
    for cluster in &clusters {
        let scope = Scope::Cluster(Arc::clone(&cluster.name));
        gauge(&scope, "membership_total", cluster.hosts.len() as u64);
        gauge(&scope, "membership_healthy", healthy(cluster));
        gauge(&scope, "upstream_cx_active", sum(cluster, "cx_active"));
        gauge(&scope, "upstream_rq_active", sum(cluster, "rq_active"));
        if let Some(outliers) = &cluster.cluster.info.outliers {
            let active = outliers.stats.active();
            gauge(&scope, "outlier_detection.ejections_active", active);
        }
    }
    for cluster in &clusters {
        let Some(outliers) = &cluster.cluster.info.outliers else {
            continue;
        };
        let scope = Scope::Cluster(Arc::clone(&cluster.name));
        let counters = outliers.stats.counters().into_iter();
        out.extend(counters.map(|(name, value)| Stat::counter(scope.clone(), name, value)));
    }
}

fn healthy(cluster: &ClusterStatus) -> u64 {
    let hosts = cluster.hosts.iter();
    hosts.filter(|host| host.is_healthy()).count() as u64
}

fn sum(cluster: &ClusterStatus, name: &str) -> u64 {
    let stats = cluster.hosts.iter().flat_map(|host| &host.stats);
    stats.filter(|stat| stat.0 == name).map(|stat| stat.1).sum()
}

/// Anonymous and resident memory of the process, in bytes; zeros where the kernel does not tell.
fn memory() -> [u64; 2] {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["RssAnon:", "VmRSS:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) << 10
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xds::tests::{cluster, fill};
    use mesh_xds::resource::Resource;

    #[test]
    fn what_came_and_what_waits_is_counted() {
        let shared = Arc::<Shared>::default();
        let store = Arc::<Store>::default();
        let readiness = Readiness::new();
        let _missing = readiness.condition("configuration", "nothing yet");
        let end = SystemTime::now() + std::time::Duration::from_secs(86_400 + 60);
        let status = identity::Status {
            not_after: Some(end),
            ..identity::Status::default()
        };
        let sources = Sources {
            started: Instant::now(),
            concurrency: NonZeroUsize::MIN,
            readiness,
            store: Arc::clone(&store),
            identity: watch::channel(status).1,
            shared: Arc::downgrade(&shared),
        };
        let telemetry = shared.telemetry.clone();
        telemetry.read_from(move |out| sources.read(out));
        let waits = cluster("waits").encode().to_vec();
        fill(
            &shared,
            &store,
            ResourceType::Cluster,
            &[("waits", "1", waits)],
        );
        let stats = telemetry.stats();
        let value = |name: &str| {
            let stat = stats.iter().find(|stat| stat.full_name() == name);
            stat.unwrap_or_else(|| panic!("{name} is missing")).value
        };
        assert_eq!(value("server.live"), 0);
        assert_eq!(value("server.days_until_first_cert_expiring"), 1);
        assert_eq!(value("cluster_manager.warming_clusters"), 1);
        assert_eq!(value("cluster_manager.active_clusters"), 0);
        assert_eq!(value("control_plane.connected_state"), 0);
        assert!(value("server.memory_physical_size") > 1 << 20);
        let text: String = telemetry.exposition().collect();
        assert!(
            text.contains("\nenvoy_cluster_manager_cds_update_success{} 0\n"),
            "{text}"
        );
        drop(shared);
        assert!(
            !telemetry
                .stats()
                .iter()
                .any(|s| s.name == "active_clusters"),
            "no cycle"
        );
    }
}
