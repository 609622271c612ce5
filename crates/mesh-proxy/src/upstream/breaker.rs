//! Circuit breaker: how much of a cluster may be in use at once.
//!
//! Permits are per process. A limit of `u32::MAX` never trips, and then its counter is not touched: with Istio's
//! defaults no worker writes a line of memory that another one reads.

use mesh_model::cluster::Limits;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Connections.
    Connections,
    /// Requests that wait for a connection.
    PendingRequests,
    /// Requests in flight.
    Requests,
    /// Retries in flight.
    Retries,
}

/// Permits in use, of one cluster.
#[derive(Debug, Default)]
pub struct Breaker {
    in_use: [AtomicU32; 4],
}

/// A permit, given back when dropped.
#[derive(Debug)]
pub struct Permit(Option<(Arc<Breaker>, Resource)>);

impl Breaker {
    /// A permit for `resource`, or `None` if all that `limits` allow are in use.
    pub fn acquire(self: &Arc<Self>, limits: &Limits, resource: Resource) -> Option<Permit> {
        let limit = limit(limits, resource);
        if limit == u32::MAX {
            return Some(Permit(None));
        }
        self.in_use[resource as usize]
            .fetch_update(Relaxed, Relaxed, |used| (used < limit).then_some(used + 1))
            .ok()
            .map(|_| Permit(Some((Arc::clone(self), resource))))
    }

    /// A permit even beyond the limit, for what Envoy always lets through (the first connection of a pool).
    pub fn force(self: &Arc<Self>, limits: &Limits, resource: Resource) -> Permit {
        if limit(limits, resource) == u32::MAX {
            return Permit(None);
        }
        self.in_use[resource as usize].fetch_add(1, Relaxed);
        Permit(Some((Arc::clone(self), resource)))
    }

    /// Permits of `resource` in use; 0 where there is no limit.
    pub fn in_use(&self, resource: Resource) -> u32 {
        self.in_use[resource as usize].load(Relaxed)
    }
}

fn limit(limits: &Limits, resource: Resource) -> u32 {
    match resource {
        Resource::Connections => limits.max_connections,
        Resource::PendingRequests => limits.max_pending_requests,
        Resource::Requests => limits.max_requests,
        Resource::Retries => limits.max_retries,
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((breaker, resource)) = self.0.take() {
            breaker.in_use[resource as usize].fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trips_at_the_limit_and_recovers() {
        let breaker = Arc::new(Breaker::default());
        let limits = Limits {
            max_requests: 2,
            ..Limits::UNLIMITED
        };
        let first = breaker.acquire(&limits, Resource::Requests);
        let second = breaker.acquire(&limits, Resource::Requests);
        assert!(first.is_some() && second.is_some());
        assert!(breaker.acquire(&limits, Resource::Requests).is_none());
        let forced = breaker.force(&limits, Resource::Requests);
        assert_eq!(breaker.in_use(Resource::Requests), 3);
        drop((first, forced));
        assert!(breaker.acquire(&limits, Resource::Requests).is_some());
        drop(second);
        assert_eq!(breaker.in_use(Resource::Requests), 0);
    }

    #[test]
    fn an_unlimited_resource_is_not_counted() {
        let breaker = Arc::new(Breaker::default());
        let permit = breaker.acquire(&Limits::UNLIMITED, Resource::Connections);
        assert!(permit.is_some());
        assert_eq!(breaker.in_use(Resource::Connections), 0);
    }
}
