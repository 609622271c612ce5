//! LAYER 7: one request's life.
//!
//! [`serve`] runs a connection (`codec`). A request on it is brought into its one canonical form (`canonical`), finds its
//! route (`route`), passes the filters (`filter`) and is sent on (`router`), with retries and time limits. Its response
//! comes back the same way. What the proxy answers by itself is a `local_reply`. From the first header to the last byte,
//! an `exchange` gathers what happened and tells telemetry at the end.

pub mod body; //   the one body type
pub mod codec; //  bytes to requests and back
pub mod route; //  which route a request takes

pub(crate) mod matching; // matchers of a request's head

mod call; //        asks a cluster something of our own
mod canonical; //   what a request asks for, decided once
mod downstream; //  what all requests of a connection share
mod exchange; //    what happened to one request
mod filter; //      what stands between route and router
mod grpc; //        status codes and deadlines
mod header; //      what is done to headers
mod local_reply; // answers of our own
mod manager; //     a connection manager, compiled
mod mutations; //   what routes change of headers
mod path; //        normalised paths
mod router; //      sends a request on: tries, retries, time limits
mod stream; //      the story of one request
mod upgrade; //     from HTTP to bytes

pub use body::Body;
pub use codec::serve;
pub use manager::Manager;

#[cfg(test)]
mod tests;
