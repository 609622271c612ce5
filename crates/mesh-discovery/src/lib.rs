//! mesh-discovery: the control plane, from Kubernetes objects to xDS.
//!
//! Modules stand in the order of a change's path.

// where the objects come from
pub mod watch;

// the world as of one moment
pub mod snapshot;

// world to xDS, pure
pub mod translate;

// what each proxy is sent, and when
pub mod push;

// how: xDS, debug pages, metrics
pub mod serve;

// who is who: identities and certificates
pub mod ca;

// what one replica alone writes into the cluster
pub mod lead;

// beside the path: the only wiring, the table of settings, what is counted, what of the log can be set
pub mod app;
pub mod config;
pub mod metrics;
pub mod scopes;

#[cfg(test)]
mod testing;
