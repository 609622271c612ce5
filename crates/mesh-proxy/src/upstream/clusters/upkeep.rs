//! What is done for clusters beside the path, as long as the process runs.

use super::{Clusters, State};
use crate::upstream::{
    cluster::ClusterInfo,
    outlier::{Outliers, Report},
};
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
    /// Ejects hosts that fail and takes them back, for ever. One call for the process; a second one ends at once.
    pub async fn keep_up(&self) {
        let receiver = self.reports.receiver.lock().take();
        let Some(mut reports) = receiver else { return };
        loop {
            let due = self.state.lock().next_sweep();
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
    fn next_sweep(&self) -> Option<Instant> {
        self.entries.values().filter_map(|e| e.sweep_at).min()
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        let due = self.entries.values_mut();
        for entry in due.filter(|e| e.sweep_at.is_some_and(|at| at <= now)) {
            entry.sweep();
        }
    }
}
