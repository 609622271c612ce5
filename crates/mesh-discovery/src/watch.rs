//! Where the objects come from: sources that yield changes, and the typed stores that they end in.
//!
//! A source is read by one task, which writes the stores and makes the next snapshot. What a source cannot understand
//! never reaches the stores: it is a [`Problem`], listed and logged.

mod cluster;
mod delta;
mod folder;
mod patience;
mod problem;
mod reading;
mod stores;
mod unusable;

pub use cluster::Cluster;
pub use delta::{Delta, InvalidMeshConfig, Kind, ObjectRef, Stored, Use};
pub use folder::{Folder, OpenError};
pub use patience::Watchers;
pub(crate) use problem::log_changes;
pub use problem::{Effect, Problem};
pub use stores::{Stores, Touched};

use std::{future::Future, sync::Arc};
use tokio::sync::watch;

/// The API server closes a watch after so many seconds, and it is taken up again where it was: a connection that has
/// died without a word is noticed no later.
pub(crate) const WATCH_SECONDS: u32 = 60;

/// Yields the objects of a cluster.
pub trait Source: Send {
    /// Waits for the next changes. The first call returns all that is there; nothing may be served before that. `None`
    /// if nothing will come any more. May be dropped while it waits: no change is lost.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Delta>>> + Send;

    /// What is not understood at the moment.
    fn problems(&self) -> watch::Receiver<Arc<[Problem]>>;
}
