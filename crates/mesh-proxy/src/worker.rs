//! One worker: a thread that owns connections from accept to close, and what it does not share with the others.

use crate::{
    http::route,
    slot::SlotCache,
    telemetry::{Shard, Telemetry},
    tls, upstream,
};
use std::sync::Arc;

/// What all workers and the control side share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Route tables.
    pub routes: route::Routes,
    /// Clusters.
    pub clusters: upstream::Clusters,
    /// Certificates and roots.
    pub secrets: tls::Secrets,
    /// Counters, metrics and logs.
    pub telemetry: Telemetry,
}

/// A worker's own state.
#[derive(Debug)]
pub struct Worker {
    /// Number of the worker, from 0.
    pub id: usize,
    /// What is shared.
    pub shared: Arc<Shared>,
    /// Route tables as this worker sees them.
    pub routes: SlotCache<route::RouteTable>,
    /// Clusters as this worker sees them.
    pub clusters: SlotCache<upstream::Cluster>,
    /// Connections to endpoints.
    pub pools: upstream::Pools,
    /// Counters and logs.
    pub telemetry: Shard,
}

impl Worker {
    /// A worker that has nothing to do yet. To be made on its own thread.
    pub fn new(id: usize, shared: Arc<Shared>) -> Self {
        Self {
            id,
            routes: SlotCache::default(),
            clusters: SlotCache::default(),
            pools: upstream::Pools::default(),
            telemetry: shared.telemetry.shard(),
            shared,
        }
    }
}
