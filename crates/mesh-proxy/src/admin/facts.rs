//! What there is to tell, and where it comes from.

use super::Application;
use crate::{config::Settings, identity, worker::Shared, xds};
use mesh_runtime::{log::Logging, readiness::Readiness, shutdown::Shutdown};
use std::{
    fmt,
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
    /// The application beside us.
    pub application: Application,
    /// The data path.
    pub shared: Arc<Shared>,
}

impl Facts {
    /// Tells connections to finish their request and end: inbound ones, or all.
    pub(super) fn drain(&self, inbound_only: bool) {
        match inbound_only {
            true => self.shared.drain.drain_inbound(),
            false => self.shared.drain.drain_all(),
        }
    }

    /// Ends the process as soon as what runs is done: who says so has no more work for it.
    pub(super) fn quit(&self) {
        self.shared.drain.expect_nobody();
        self.shutdown.request("POST /quitquitquit");
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}
