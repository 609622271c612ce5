//! Beside the path: what answers the application's DNS queries, where they are captured (Istio section "NDS and the DNS
//! proxy").
//!
//! Names of the mesh are answered from the table that the control plane sends, everything else by the name servers of
//! the pod. So a name of the mesh resolves at once, without the many queries that search domains make of one, and hosts
//! that the cluster's server does not know resolve at all. Nothing is cached, and what is kept for queries under way is
//! bounded: whoever asks is the application, but what it asks, and what is answered, may come from anywhere.
//!
//! Clusters whose endpoints have names ask by the same way.

pub mod counters; //    what is counted
pub mod names; //       the table, and how a name is found in it
pub mod resolv_conf; // the pod's name servers and search domains
pub mod following; //   that file, as it changes
pub mod server; //      the sockets

pub mod lookup; //      addresses for the proxy's own connections

mod message; //         queries and answers, on the wire
mod resolver; //        a query's way: table, or name servers
mod upstream; //        the name servers

pub use counters::Counters;
pub use following::Following;
pub use lookup::{Lookup, Lookups};
pub use names::Names;
pub use resolv_conf::ResolvConf;
pub use server::Server;

/// What the rest of the process knows of it: who fills in the names, and who shows what was counted.
#[derive(Debug, Default)]
pub struct Dns {
    /// The names of the mesh.
    pub names: Names,
    /// What was counted.
    pub counters: Counters,
}

#[cfg(test)]
mod tests;
