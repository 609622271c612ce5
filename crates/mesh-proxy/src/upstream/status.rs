//! What the admin interface shows of clusters: hosts with their health, place and counters.

use super::{Cluster, Clusters, Host, endpoint::Endpoint};
use mesh_model::endpoint::{HealthStatus, Locality};
use std::{net::SocketAddr, sync::Arc};

/// One cluster in force.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Its name.
    pub name: Arc<str>,
    /// It came from the control plane's endpoint discovery, or is static, or has hosts on demand.
    pub cluster: Arc<Cluster>,
    /// Its hosts.
    pub hosts: Vec<HostStatus>,
}

/// One host of a cluster.
#[derive(Clone, Debug)]
pub struct HostStatus {
    /// Its address.
    pub address: SocketAddr,
    /// Its health, as the control plane reports it.
    pub health: HealthStatus,
    /// It is left out because it failed.
    pub is_ejected: bool,
    /// Success rates of the last interval in percent, of answers and of connections, where rates are looked at.
    pub success_rates: [Option<f64>; 2],
    /// Its share in its locality.
    pub weight: u32,
    /// Where it is.
    pub locality: Arc<Locality>,
    /// 0 is used first.
    pub priority: u32,
    /// Names and values, by name; `true` marks a gauge.
    pub stats: Vec<(&'static str, u64, bool)>,
}

impl Clusters {
    /// All clusters in force, by name, with their hosts.
    pub fn status(&self) -> Vec<ClusterStatus> {
        self.active().into_iter().map(ClusterStatus::of).collect()
    }
}

impl ClusterStatus {
    fn of(cluster: Arc<Cluster>) -> Self {
        let listed = cluster.endpoints.all().iter().map(HostStatus::listed);
        let on_demand = cluster.info.on_demand();
        let hosts = listed.chain(on_demand.iter().map(|h| HostStatus::on_demand(h)));
        Self {
            name: Arc::clone(&cluster.info.name),
            hosts: hosts.collect(),
            cluster,
        }
    }
}

impl HostStatus {
    /// Whether it is picked while there are enough like it.
    pub fn is_healthy(&self) -> bool {
        matches!(self.health, HealthStatus::Unknown | HealthStatus::Healthy) && !self.is_ejected
    }

    fn listed(endpoint: &Endpoint) -> Self {
        Self {
            health: endpoint.health,
            weight: endpoint.weight,
            locality: Arc::clone(&endpoint.locality),
            priority: endpoint.priority,
            ..Self::on_demand(&endpoint.host)
        }
    }

    fn on_demand(host: &Host) -> Self {
        Self {
            address: host.address,
            health: HealthStatus::Unknown,
            is_ejected: host.monitor.is_ejected(),
            success_rates: host.monitor.rates(),
            weight: 1,
            locality: Arc::default(),
            priority: 0,
            stats: host.stats.values(),
        }
    }
}
