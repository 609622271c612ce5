//! Policies ↔ Envoy's filters that decide on requests and connections.
//!
//! What decides is understood in full or refused: nothing of these messages is ever ignored, but what only names or adds
//! statistics.

pub(crate) mod jwt; // tokens that say who asks
pub(crate) mod rbac; // role based access control

mod metadata; // matchers of what filters wrote
mod rule; // permissions and principals
