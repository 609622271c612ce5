//! A Kubernetes cluster, through its API server.
//!
//! One watch a kind, all of them driven by whoever asks for the next changes: there is no task of its own. What the
//! watches report is compared with what is known, so a list that is read again (after a disconnect, or when the server has
//! forgotten where a watch stood) yields only what has really changed. Nothing is told before every kind has been listed.

mod custom; // kinds that may be missing
mod definitions; // which of those there are
mod kinds; // what is watched
mod known; // what has been reported so far
mod report; // what a watch reports
mod trim; // what is not kept of an object

use super::{Delta, ObjectRef, Problem, Source, Watchers, problem};
use futures_util::{
    FutureExt, StreamExt,
    stream::{BoxStream, SelectAll},
};
use known::Known;
use kube::{Client, core::ApiResource, runtime::watcher};
use mesh_runtime::readiness::Readiness;
use report::Report;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// What one watch is for: the plural of the kind, with its group if it may be missing.
type Topic = Arc<str>;

/// What is heard from the cluster.
enum Heard {
    /// The kinds of the mesh that there are.
    Kinds(Result<Vec<ApiResource>, watcher::Error>),
    /// A report of one watch.
    Of(Topic, Report),
}

/// One of the streams that the cluster is heard through. Never ends, but for the watch of a kind that is gone.
type Watch = BoxStream<'static, Heard>;

/// The watch of a kind that may be missing.
struct Custom {
    version: String,
    end: CancellationToken,
}

/// Reports that are taken at once, so that a burst becomes one batch.
const BURST: usize = 1024;

/// A watched cluster.
pub struct Cluster {
    client: Client,
    watchers: Watchers,
    watches: SelectAll<Watch>,
    /// The watches of kinds that may be missing, by topic.
    custom: BTreeMap<Topic, Custom>,
    /// Has the API server asked anew which kinds it serves.
    doubts: Arc<Notify>,
    known: Known,
    /// What is not told yet.
    pending: Vec<Delta>,
    /// The first batch, which is all that there is, has been told.
    told: bool,
    problems: watch::Sender<Arc<[Problem]>>,
}

impl Cluster {
    /// Watches the cluster behind `client`, as some of the `watchers` of its API server. `settings` is the ConfigMap with those of
    /// the mesh. `readiness` is held back by each kind that has not been listed yet.
    pub fn new(
        client: &Client,
        watchers: &Watchers,
        settings: &ObjectRef,
        readiness: &Readiness,
    ) -> Self {
        let watches = kinds::watches(client, watchers, settings);
        let topics = watches.iter().map(|(topic, _)| *topic);
        let known = Known::new(topics, readiness);
        let doubts = Arc::<Notify>::default();
        let definitions = definitions::kinds(client.clone(), watchers, doubts.clone());
        let definitions = definitions.map(Heard::Kinds).boxed();
        let watches = watches.into_iter().map(|(_, watch)| watch);
        Self {
            client: client.clone(),
            watchers: watchers.clone(),
            known,
            watches: watches.chain([definitions]).collect(),
            custom: BTreeMap::new(),
            doubts,
            pending: Vec::new(),
            told: false,
            problems: watch::channel(Arc::default()).0,
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Of(topic, report) => {
                if report.is_not_found() && self.custom.contains_key(&topic) {
                    self.doubts.notify_one();
                }
                self.pending.extend(self.known.note(&topic, report));
            }
            Heard::Kinds(Ok(kinds)) => self.turn_to(&kinds),
            Heard::Kinds(Err(error)) => self.known.kinds_failed(&error),
        }
    }

    /// Watches the kinds that there are in the versions that are served, and no others. Objects of kinds that are gone are
    /// gone; those of a kind that has turned to another version stay until they are listed in it.
    fn turn_to(&mut self, kinds: &[ApiResource]) {
        let kinds: BTreeMap<_, _> = kinds.iter().map(|k| (custom::topic(k), k)).collect();
        for (topic, kind) in &kinds {
            let executed = custom::is_executed(topic);
            match self.custom.get(topic) {
                Some(watched) if watched.version == kind.version => continue,
                Some(watched) => {
                    tracing::info!(%topic, from = watched.version, to = kind.version, "the kind is served in another version");
                    watched.end.cancel();
                }
                None => {
                    tracing::info!(%topic, version = kind.version, executed, "the kind is there");
                    self.known.add(topic.clone(), executed);
                }
            }
            self.watch_custom(topic, kind, executed);
        }
        self.custom.retain(|topic, Custom { end, .. }| {
            let stays = kinds.contains_key(topic);
            if !stays {
                tracing::info!(%topic, "the kind is gone");
                end.cancel();
                self.pending.extend(self.known.remove(topic));
            }
            stays
        });
        self.known.kinds_found();
    }

    fn watch_custom(&mut self, topic: &Topic, kind: &ApiResource, executed: bool) {
        let end = CancellationToken::new();
        let server = (&self.client, &self.watchers);
        let watch = custom::watch(server, topic.clone(), kind, executed);
        let watch = watch.take_until(end.clone().cancelled_owned());
        self.watches.push(watch.boxed());
        let version = kind.version.clone();
        self.custom.insert(topic.clone(), Custom { version, end });
    }

    /// What is to be told now, if there is anything.
    fn batch(&mut self) -> Option<Vec<Delta>> {
        // A kind that appears later, and cannot be listed, holds up nothing else.
        let waits = match self.told {
            false => !self.known.is_complete(),
            true => self.pending.is_empty(),
        };
        if waits {
            return None;
        }
        self.told = true;
        Some(std::mem::take(&mut self.pending))
    }
}

impl Source for Cluster {
    async fn next(&mut self) -> Option<Vec<Delta>> {
        loop {
            let first = self.watches.next().await?;
            self.hear(first);
            for _ in 1..BURST {
                match self.watches.next().now_or_never().flatten() {
                    Some(more) => self.hear(more),
                    None => break,
                }
            }
            if self.known.problems_changed() {
                problem::report(&self.known.problems(), &self.problems);
            }
            if let Some(batch) = self.batch() {
                return Some(batch);
            }
        }
    }

    fn problems(&self) -> watch::Receiver<Arc<[Problem]>> {
        self.problems.subscribe()
    }
}

#[cfg(test)]
mod tests;
