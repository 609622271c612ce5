//! The sidecar, in the order in which a connection walks through it.
//!
//! ENTER at [`listener`], be decrypted by [`tls`], pass [`network`] or, if it is HTTP, [`http`], LEAVE by [`upstream`].
//! Beside the path stand [`xds`] and [`identity`], which configure it, [`admin`], which shows it, [`telemetry`], which
//! measures it, and [`dns`], which tells the application where things are. [`app`] is the only wiring.
//!
//! The path runs on workers: one thread a core, each with its own current-thread runtime, pools and counters
//! ([`worker`]). It takes no lock and awaits nothing of the control side: what it reads is published as immutable values
//! ([`publish`]) under interned names ([`slot`]).

pub mod listener; // ENTER   accept, original destination, inspect, pick the filter chain, drain

pub mod tls; //              server and client sides, SPIFFE verification, secrets

pub mod network; //  LAYER 4 metadata exchange, tcp proxy, the one two-way copy

pub mod http; //     LAYER 7 one request's life: codec, route, filters, policy, local replies

mod policy; //               who may do what, as filters of both layers ask it

pub mod upstream; // LEAVE   cluster, endpoints, load balancing, circuit breaker, pools, connect

pub mod connection; //       the facts about one downstream connection
pub mod drain; //            the orderly end of connections
pub mod flag; //             why a request did what it did: response flags
pub mod memory; //           what nobody needs any more, given back
pub mod reason; //           an error with its causes, in one line
pub mod publish; //          values that the control side replaces and workers read
pub mod slot; //             interned names for what may arrive in any order
pub mod worker; //           one core: its runtime, caches and pools

pub mod xds; //              beside the path: what configures it …
pub mod identity; //         … who we are, and how we prove it
pub mod admin; //            … what shows it, and takes orders
pub mod telemetry; //        … what measures it
pub mod dns; //              … what answers the application's DNS queries

mod exchange; //             one request over a connection of its own
pub mod errand; //           what a hook or a person of the pod asks of the proxy that runs

pub mod app; //              the only wiring
pub mod config; //           one table of settings
