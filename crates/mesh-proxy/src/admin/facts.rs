//! What there is to tell, and where it comes from.

use crate::{config::Settings, identity, telemetry::Telemetry, tls, xds};
use mesh_model::{cluster::Limits, endpoint};
use mesh_runtime::{log::Logging, readiness::Readiness, shutdown::Shutdown};
use mesh_xds::ads::ResourceType;
use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::SystemTime,
};
use tokio::sync::watch;

/// Everything that the sockets of this module tell, and what they order about. There is one for the process.
pub struct Facts {
    /// What the proxy was started with.
    pub settings: Settings,
    /// When it was started.
    pub started: SystemTime,
    /// What is measured.
    pub telemetry: Telemetry,
    /// Levels of the log.
    pub logging: Arc<Logging>,
    /// What must be done before the proxy is ready, and whether it is ending.
    pub readiness: Readiness,
    /// It was told to fail its health checks; starts as `false`.
    pub failing: AtomicBool,
    /// The end of the process.
    pub shutdown: Shutdown,
    /// What the control plane sent, as it came.
    pub received: Arc<xds::Store>,
    /// How the certificate fares.
    pub identity: watch::Receiver<identity::Status>,
    /// The data path.
    pub path: Box<dyn Path>,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}

/// The data path as it is seen and ordered from here.
pub trait Path: Send + Sync + 'static {
    /// Clusters in force, by name.
    fn clusters(&self) -> Vec<Cluster>;
    /// Names of what was accepted and waits for something, of clusters or of listeners.
    fn warming(&self, kind: ResourceType) -> BTreeSet<String>;
    /// Secrets in force, by name.
    fn secrets(&self) -> Vec<tls::secret::Received>;
    /// Listeners in force with all their addresses, by name.
    fn listeners(&self) -> Vec<(String, Vec<SocketAddr>)>;
    /// Tells connections to finish their request and end: inbound ones, or all.
    fn drain(&self, inbound_only: bool);
}

/// One cluster in force.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The name of its endpoints, if they are discovered.
    pub eds_service_name: Option<String>,
    /// Its circuit breakers.
    pub limits: Limits,
    /// Its hosts.
    pub hosts: Vec<Host>,
}

/// One host of a cluster.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its address.
    pub address: SocketAddr,
    /// Its health, as the control plane reports it.
    pub health: endpoint::HealthStatus,
    /// Its share in its locality.
    pub weight: u32,
    /// Where it is.
    pub locality: Arc<endpoint::Locality>,
    /// 0 is used first.
    pub priority: u32,
    /// Names and values, by name; `true` marks a gauge.
    pub stats: Vec<(&'static str, u64, bool)>,
}
