//! The Aggregated Discovery Service, both ends, both protocols, without I/O.
//!
//! [`Server`] stands in mesh-discovery, one for each connection; [`Client`] in mesh-proxy, one for each control plane.
//! Both are plain state: they are handed what arrived and asked what to send; they own no socket, clock or task, and
//! they never look into a resource. [`service`] is the one file that knows tonic.
//!
//! # What a server's owner does
//!
//! ```text
//! request arrives   server.on_request(&request, now)?      what it meant, for logs and counters
//!                   while let Some(ask) = server.asked()   in the order CDS, EDS, LDS, RDS, …
//!                       send server.answer(ask, resources, &stamp)?
//! a push            for kind in ResourceType::ALL
//!                       if let Some(ask) = server.refresh(kind) { send server.answer(ask, resources, &stamp)? }
//! after either      while let Some(last) = server.withdraw(&stamp) { send last }
//! ```
//!
//! An [`Ask`] says which resources the answer needs: all of a type, or some names. A name of the ask that is not among
//! the resources does not exist, and is told so. An endpoint set that a cluster asks for must therefore be supplied
//! even where nothing is known of it, as an empty `ClusterLoadAssignment`: a cluster that gets no answer never finishes
//! warming (envoy#13009).
//!
//! Only what differs from what the client holds is sent, so a refresh with an unchanged world costs no bytes, and a
//! client that reconnects with the versions it holds gets nothing again. Additions leave at once; removals are held
//! back until [`Server::withdraw`], and leave in the opposite order: make before break.
//!
//! # What a client's owner does
//!
//! ```text
//! at start          client.watch_all(ResourceType::Cluster); client.subscribe(ResourceType::Endpoint, names)
//! stream opened     client.connected()
//! always            while let Some(request) = client.next_request() { send request }
//! response arrives  let (update, ticket) = client.on_response(response)?
//!                   decode update.added, apply, drop update.removed
//!                   client.complete(ticket, refused)       ACK, or NACK with every refused name and its reason
//! stream ended      client.disconnected()                  nothing is forgotten, nothing is removed
//! ```
//!
//! # Refusals
//!
//! As in Envoy a refusal is for one resource, while the NACK is for the response: what was accepted of a response
//! that is refused in part is in force, what was refused keeps its last good state, and one NACK carries all reasons.
//! Envoy then forgets which version of the accepted ones it holds until the next good response; we remember, because
//! after a reconnect the truth spares sending them again.
//!
//! Sources: Envoy's "xDS REST and gRPC protocol"; Istio section 3.4 (xDS protocol rules) and 6.3 (proxy-status).

pub mod service;

mod client;
mod message;
mod request;
mod resource;
mod resource_type;
mod response;
mod server;

pub use client::{Client, Refused, Resource, ResponseError, Ticket, TypeStats, Update};
pub use message::{EncodedDeltaResponse, EncodedResponse, control_plane};
pub use request::{Protocol, Request};
pub use resource::{SharedResource, Version};
pub use resource_type::ResourceType;
pub use response::{Received, ReceivedResource, Response};
pub use server::{
    Ask, Heard, Interest, Refusal, Rejection, Server, Stamp, SyncState, TypeStatus, Verdict,
};

/// The largest response that a client takes and a server sends, in bytes.
///
/// gRPC's own default of 4 MB is too small for the clusters of a big mesh.
pub const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// The largest request that a server takes, in bytes: the names and versions of about a hundred thousand resources.
pub const MAX_REQUEST_BYTES: usize = 16 << 20;

/// The name that subscribes to everything a server has for the client.
pub const WILDCARD: &str = "*";

#[cfg(test)]
mod tests;
