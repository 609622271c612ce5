//! The one task that applies changes to the world and publishes it.
//!
//! Changes are applied as they come, so that what waits is always ready to be pushed; the debouncer says when. Nothing
//! is published before the source has told everything that there is, which is its first batch.

use super::{
    debounce::{Debouncer, Urgency},
    published::Published,
};
use crate::{
    config::Debounce,
    metrics::{Metrics, Trigger},
    snapshot::{Change, ServiceEndpoint, ServiceEndpoints, World},
    watch::{self, Delta, Source, Stores, Touched},
};
use std::sync::Arc;
use tokio::{
    sync::watch::{Receiver, Sender, channel},
    time::Instant,
};

/// Where streams wait for pushes; `None` until the sources are synced.
pub type Publications = Receiver<Option<Arc<Published>>>;

/// The state of the task.
#[derive(Debug)]
pub struct Pipeline {
    stores: Stores,
    /// The world as of now, of which the published one may lag behind.
    world: World,
    waiting: Change,
    waiting_since: Instant,
    debouncer: Debouncer,
    publisher: Sender<Option<Arc<Published>>>,
    metrics: Arc<Metrics>,
}

impl Pipeline {
    /// Begins with `world`, into which the first changes will go.
    pub fn new(world: World, debounce: Debounce, metrics: Arc<Metrics>) -> (Self, Publications) {
        let (publisher, publications) = channel(None);
        let pipeline = Self {
            stores: Stores::default(),
            world,
            waiting: Change::default(),
            waiting_since: Instant::now(),
            debouncer: Debouncer::new(debounce),
            publisher,
            metrics,
        };
        (pipeline, publications)
    }

    /// Runs for ever. A source that ends leaves the last world in force.
    pub async fn run(mut self, mut source: impl Source) {
        loop {
            let due = self.debouncer.due();
            let push = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = push => self.publish(),
                deltas = source.next() => match deltas {
                    Some(deltas) => self.apply(deltas),
                    None => break,
                },
            }
        }
        tracing::error!("the source has ended: the last configuration stays in force");
        self.publish();
        std::future::pending().await
    }

    /// The first batch is all that there is.
    fn apply(&mut self, deltas: Vec<Delta>) {
        deltas
            .into_iter()
            .for_each(|delta| self.stores.apply(delta));
        let touched = self.stores.take_touched();
        if !touched.is_empty() {
            self.advance(&touched);
        }
        if self.publisher.borrow().is_none() {
            self.publish_first();
        }
    }

    /// Brings the world up to date.
    fn advance(&mut self, touched: &Touched) {
        let now = Instant::now();
        let (next, change) = self.world.next(&self.stores, touched);
        let before = std::mem::replace(&mut self.world, next);
        self.metrics.pushcontext_init.record(now.elapsed());
        if change.is_empty() || self.publisher.borrow().is_none() {
            return;
        }
        let urgency = urgency(&change, &before, &self.world);
        if self.debouncer.due().is_none() {
            self.waiting_since = now;
        }
        self.debouncer.changed(urgency, change.full, now);
        self.waiting.merge(change);
    }

    fn publish_first(&mut self) {
        let first = Published::first(self.world.clone());
        tracing::info!(version = %first.version, services = self.world.services().iter().count(), "synced, serving");
        self.replace(first);
    }

    fn publish(&mut self) {
        let waited = self.debouncer.pushed(Instant::now());
        let change = std::mem::take(&mut self.waiting);
        let Some(last) = self.publisher.borrow().clone() else {
            return;
        };
        self.metrics.debounce_time.record(waited);
        self.metrics.triggered(if change.full {
            Trigger::Config
        } else {
            Trigger::Endpoint
        });
        tracing::debug!(
            full = change.full,
            endpoints = change.endpoints.len(),
            pods = change.workloads.len(),
            ?waited,
            "push"
        );
        self.replace(last.next(self.world.clone(), change, self.waiting_since));
    }

    fn replace(&self, next: Published) {
        self.metrics
            .services
            .set(next.world.services().iter().count() as u64);
        let before = self
            .publisher
            .borrow()
            .as_ref()
            .map(|p| p.conflicts.clone());
        let before = before.iter().flat_map(|all| all.iter());
        watch::log_changes(
            before.map(|conflict| &conflict.problem),
            next.conflicts.iter().map(|conflict| &conflict.problem),
        );
        self.publisher.send_replace(Some(Arc::new(next)));
    }
}

/// A service that loses some of its endpoints, but not all, should be pushed at once.
fn urgency(change: &Change, before: &World, after: &World) -> Urgency {
    let shrunk = change
        .endpoints
        .iter()
        .any(|host| shrunk(before.endpoints(host), after.endpoints(host)));
    if shrunk {
        Urgency::Removal
    } else {
        Urgency::Ordinary
    }
}

fn shrunk(before: &ServiceEndpoints, after: &ServiceEndpoints) -> bool {
    let usable = |e: &&ServiceEndpoint| e.ready && !e.terminating;
    let is_left = |gone: &ServiceEndpoint| {
        after
            .iter()
            .filter(usable)
            .any(|e| (e.address, &e.ports) == (gone.address, &gone.ports))
    };
    after.iter().any(|e| usable(&e)) && before.iter().filter(usable).any(|e| !is_left(e))
}

#[cfg(test)]
mod tests;
