//! What is done for clusters beside the path, as long as the process runs.

use super::{Clusters, State, names};
use crate::{
    dns::lookup::{Addresses, Failure, Lookup},
    upstream::{
        cluster::ClusterInfo,
        outlier::{Outliers, Report},
    },
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use mesh_model::cluster::Discovery;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Where workers leave word for the upkeep.
#[derive(Debug)]
pub(super) struct Reports {
    sender: mpsc::UnboundedSender<Report>,
    // Until the upkeep begins.
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Report>>>,
}

impl Default for Reports {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

impl Reports {
    /// Has the workers that see `info` leave word here. Of `old`, the same cluster before, the counters are kept.
    pub(super) fn receive_from(&self, info: &mut ClusterInfo, old: Option<&ClusterInfo>) {
        let old = old.and_then(|old| old.outliers.as_ref());
        let stats = old.map(|o| Arc::clone(&o.stats)).unwrap_or_default();
        info.outliers = info.model.outlier_detection.clone().map(|config| {
            Outliers::new(info.model.name.clone(), config, stats, self.sender.clone())
        });
    }

    /// There is something new to look after.
    pub(super) fn look(&self) {
        let _ = self.sender.send(Report::Look);
    }
}

impl Clusters {
    /// Ejects hosts that fail and takes them back, and looks names up, for ever. One call for the process; a second one
    /// ends at once.
    pub async fn keep_up(&self, lookup: &dyn Lookup) {
        let receiver = self.reports.receiver.lock().take();
        let Some(mut reports) = receiver else { return };
        let mut under_way = FuturesUnordered::new();
        loop {
            let (due, begun) = {
                let mut state = self.state.lock();
                (state.due(), state.known.names.begin())
            };
            under_way.extend(begun.into_iter().map(|key| async move {
                let found = lookup.addresses(&key.0, key.1).await;
                (key, found)
            }));
            tokio::select! {
                report = reports.recv() => match report {
                    Some(Report::Outlier(cluster, host, kind)) => {
                        let mut state = self.state.lock();
                        if let Some(entry) = state.entries.get_mut(&cluster) {
                            entry.judge(&host, kind);
                        }
                    }
                    Some(Report::Look) => {}
                    None => return,
                },
                Some((key, found)) = under_way.next() => self.state.lock().answered(&key, found),
                () = at(due) => self.state.lock().sweep(),
            }
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl State {
    // When there is something to do.
    fn due(&self) -> Option<Instant> {
        let sweeps = self.entries.values().filter_map(|e| e.sweep_at);
        sweeps.chain(self.known.names.due()).min()
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        let due = self.entries.values_mut();
        for entry in due.filter(|e| e.sweep_at.is_some_and(|at| at <= now)) {
            entry.sweep();
        }
    }

    /// Names are looked up for the clusters that are there now.
    pub(super) fn review_names(&mut self) {
        let infos = self.entries.values();
        let infos = infos.flat_map(|entry| entry.warming.iter().chain(&entry.active));
        self.known
            .names
            .are_used_by(infos.filter_map(|info| match &info.model.discovery {
                Discovery::Dns(dns) => Some(&**dns),
                _ => None,
            }));
    }

    fn answered(&mut self, key: &names::Key, found: Result<Addresses, Failure>) {
        if !self.known.names.answered(key, found) {
            return;
        }
        let uses = |info: &ClusterInfo| match &info.model.discovery {
            Discovery::Dns(dns) => names::uses(dns, key),
            _ => false,
        };
        let users = self.entries.values_mut().filter(|entry| {
            let infos = entry.warming.iter().chain(&entry.active);
            infos.into_iter().any(|info| uses(info))
        });
        for entry in users {
            if let Some(info) = entry.active.clone().filter(|info| uses(info)) {
                entry.publish(info, &self.known);
            }
            entry.settle(&self.known);
        }
        // What a cluster had before may have gone.
        self.review_names();
    }
}
