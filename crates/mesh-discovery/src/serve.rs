//! What the control plane serves: xDS and certificates by gRPC, debug pages and metrics by HTTP.
//!
//! [`tls`] shakes hands; [`grpc`] serves what comes out; [`ads`] opens streams, each of which is a task
//! in [`stream`]. Makes no resource itself.

pub mod ads; // who may open a stream
pub mod age; // how old connections get
pub mod connection; // a connection and who is at its other end
pub mod connections; // the streams that stand
pub mod debug; // debug pages, metrics, readiness
pub mod grpc; // the gRPC servers
pub mod http; // the HTTP server
pub mod node; // what a client says of itself
pub mod stream; // one stream
pub mod tls; // handshakes
pub mod visitor; // who may see what of the debug pages

#[cfg(test)]
mod tests;
