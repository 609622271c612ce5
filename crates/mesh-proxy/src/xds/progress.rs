//! Whether enough configuration has come to be ready (Istio section "Lifecycle").
//!
//! Clusters and listeners must have been accepted once, and what they brought must be in force. Once that is so it stays
//! so: losing the control plane later does not make a proxy unready.

use super::{Store, Target, apply::settle_store};
use crate::identity;
use mesh_runtime::readiness::Condition;
use mesh_xds::ads::ResourceType;
use std::{fmt::Write, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// Names of what waits that are told, at most.
const MOST_NAMES: usize = 5;
/// How often is looked whether what waits has come.
const LOOK: Duration = Duration::from_millis(250);

/// Watches what comes.
pub struct Progress<T> {
    target: Arc<T>,
    store: Arc<Store>,
    identity: watch::Receiver<identity::Status>,
}

impl<T: Target> Progress<T> {
    /// Of what comes into `store` and `target`. `identity` tells when secrets have come.
    pub fn new(
        target: Arc<T>,
        store: Arc<Store>,
        identity: watch::Receiver<identity::Status>,
    ) -> Self {
        Self {
            target,
            store,
            identity,
        }
    }

    /// Runs for ever: puts in force what waited for secrets, and meets `condition` as soon as the proxy can serve.
    pub async fn run(mut self, condition: Condition) {
        let mut condition = Some(condition);
        let mut changes = self.store.changes();
        loop {
            match (self.missing(), condition.take()) {
                (Some(why), Some(waiting)) => {
                    waiting.explain(why);
                    condition = Some(waiting);
                }
                (None, Some(waiting)) => waiting.met(),
                (_, None) => {}
            }
            // Names of endpoints are looked up by the proxy itself, and nobody tells us when.
            let waits = self.waiting().is_some();
            tokio::select! {
                () = sleep(LOOK), if waits => self.settle(),
                changed = changes.changed() => if changed.is_err() { return },
                changed = self.identity.changed() => match changed {
                    Ok(()) => self.settle(),
                    // Without anyone who brings secrets, what came of the others still counts.
                    Err(_) => return self.without_identity(condition).await,
                },
            }
        }
    }

    async fn without_identity(self, condition: Option<Condition>) {
        let (_never, identity) = watch::channel(self.identity.borrow().clone());
        if let Some(condition) = condition {
            Box::pin(Self { identity, ..self }.run(condition)).await;
        }
    }

    fn settle(&self) {
        self.target.settle();
        settle_store(&*self.target, &self.store);
    }

    /// What is missing, in Istio's words where it has some.
    fn missing(&self) -> Option<String> {
        let [cds, lds] =
            [ResourceType::Cluster, ResourceType::Listener].map(|k| self.store.stats(k));
        if cds.update_success == 0 || lds.update_success == 0 {
            let rejected = cds.update_rejected + lds.update_rejected > 0;
            let mut why = String::from(match rejected {
                true => "config received from XDS server, but was rejected: ",
                false => "config not received from XDS server (is Istiod running?): ",
            });
            write!(
                why,
                "cds updates: {} successful, {} rejected; lds updates: {} successful, {} rejected",
                cds.update_success, cds.update_rejected, lds.update_success, lds.update_rejected
            )
            .expect("a String grows");
            if let Some(error) = self.store.connection().error {
                why = format!("{why}; {error}");
            }
            if let Some((name, reason)) = self.first_refusal() {
                why = format!("{why}; {name}: {reason}");
            }
            return Some(why);
        }
        self.waiting()
    }

    fn first_refusal(&self) -> Option<(String, String)> {
        let kinds = [ResourceType::Cluster, ResourceType::Listener];
        let mut entries = kinds.into_iter().flat_map(|kind| self.store.entries(kind));
        entries.find_map(|(name, entry)| Some((name, entry.refused?.reason)))
    }

    fn waiting(&self) -> Option<String> {
        let kinds = [ResourceType::Cluster, ResourceType::Listener];
        let names: Vec<_> = kinds
            .into_iter()
            .flat_map(|kind| self.target.warming(kind))
            .collect();
        let more = names.len().saturating_sub(MOST_NAMES);
        let mut why = match names.is_empty() {
            true => return None,
            false => format!(
                "waiting for what these need: {}",
                names[..names.len() - more].join(", ")
            ),
        };
        if more > 0 {
            why = format!("{why} and {more} more");
        }
        if let Some(error) = &self.identity.borrow().error {
            why = format!("{why}; no certificate: {error}");
        }
        Some(why)
    }
}
