//! Keys that are fetched: by the first token that needs them, and again once they are old.
//!
//! All workers share them. While they are fetched, who needs them waits; who finds them does not. An answer counts only if
//! it is a key set: nothing is followed elsewhere, and nothing else is ever believed.

use super::Counters;
use crate::{
    http::call::call,
    policy::jwt::{KeySet, Status, Token},
    upstream::{Clusters, clusters::ClusterSlot},
    worker::Worker,
};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use mesh_model::policy::jwt::RemoteKeys;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// Longest key set, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// Longest wait for one.
const MOST_PATIENCE: Duration = Duration::from_secs(5);
/// How long nobody asks again after a failure (Envoy's `failed_refetch_duration`).
const AFTER_FAILURE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Remote {
    cluster: Arc<ClusterSlot>,
    uri: Uri,
    patience: Duration,
    lasts: Duration,
    held: ArcSwapOption<Held>,
    turn: Mutex<()>,
    counters: Counters,
}

/// What the last fetch brought, and how long that stands.
#[derive(Debug)]
struct Held {
    keys: Option<KeySet>,
    until: Instant,
}

impl Remote {
    pub(super) fn new(model: &RemoteKeys, counters: Counters, clusters: &Clusters) -> Self {
        Self {
            cluster: clusters.slot(&model.cluster),
            // It was one when it was decoded; else nothing is fetched, and nothing verified.
            uri: model.uri.parse().unwrap_or_default(),
            patience: model.timeout.min(MOST_PATIENCE),
            lasts: model.cache_duration,
            held: ArcSwapOption::empty(),
            turn: Mutex::new(()),
            counters,
        }
    }

    /// Verifies the signature of `token`.
    ///
    /// # Errors
    /// If no key made it, or none could be fetched.
    pub(super) async fn verify(&self, token: &Token<'_>, worker: &Worker) -> Result<(), Status> {
        let held = match self.fresh() {
            Some(held) => held,
            None => self.fetch(worker).await,
        };
        let keys = held.keys.as_ref().ok_or(Status::FetchFailed)?;
        keys.verify(token)
    }

    fn fresh(&self) -> Option<Arc<Held>> {
        let held = self.held.load_full()?;
        (Instant::now() < held.until).then_some(held)
    }

    async fn fetch(&self, worker: &Worker) -> Arc<Held> {
        let _turn = self.turn.lock().await;
        if let Some(held) = self.fresh() {
            return held;
        }
        let asked = timeout(self.patience, self.ask(worker)).await;
        let keys = asked.ok().flatten();
        let (counter, lasts) = match keys {
            Some(_) => (self.counters.fetched, self.lasts),
            None => (self.counters.fetch_failed, AFTER_FAILURE),
        };
        worker.telemetry.add(counter, 1);
        let held = Arc::new(Held {
            keys,
            until: Instant::now() + lasts,
        });
        self.held.store(Some(Arc::clone(&held)));
        held
    }

    async fn ask(&self, worker: &Worker) -> Option<KeySet> {
        let request = Request::get(self.uri.clone()).body(Bytes::new()).ok()?;
        let answer = call(worker, &self.cluster, request, MOST_BYTES).await;
        let answer = answer
            .inspect_err(|error| tracing::warn!(uri = %self.uri, %error, "keys can't be fetched"))
            .ok()?;
        match answer.head.status() {
            StatusCode::OK => KeySet::read(&answer.body).filter(|keys| !keys.is_empty()),
            _ => None,
        }
    }
}
