//! LEAVE: where traffic goes, and how it gets there.
//!
//! A [`Cluster`] is an immutable value: its configuration and the endpoints known at one moment. [`Clusters`] compiles
//! and publishes them; a route or a TCP proxy holds a slot and sees the newest. What must outlive such a value (the
//! counters of a host, the permits of a circuit breaker) stands behind an `Arc` of its own and is handed from one value to
//! the next. Connections belong to a worker: HTTP keeps them in [`Pools`], TCP takes one each by [`connect`].

pub mod balance; //    picks an endpoint
pub mod breaker; //    limits on connections, requests, retries
pub mod cluster; //    one cluster, compiled
pub mod clusters; //   all of them: apply, warm, publish
pub mod connect; //    dial, bind, encrypt
pub mod endpoint; //   the endpoints of a cluster, by priority and locality
pub mod failure; //    what can go wrong
pub(crate) mod hash; // Envoy's hash functions
pub mod host; //       state of one endpoint that outlives configurations
pub mod outlier; //    hosts that fail are left out for a while
pub mod pool; //       HTTP connections of a worker
pub mod status; //     what the admin interface shows
pub mod transport; //  plaintext or TLS, by the endpoint's metadata
mod witness; //        whether the peer can have read what was written

pub use cluster::Cluster;
pub use clusters::{Clusters, Warmth};
pub use connect::{Failed, Request, Tcp, connect};
pub use failure::{Failure, FailureKind};
pub use host::Host;
pub use pool::Pools;
