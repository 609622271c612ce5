//! Policies: who may do what, and how often (Envoy's filters that decide on requests and connections).
//!
//! A policy is judged by the filter of its kind in `mesh-proxy`. All that stands here is executed; what cannot be is
//! refused when it is decoded, because what decides must never be half understood.

pub mod jwt; //  tokens that say who asks
pub mod rbac; // role based access control

mod metadata; // what filters wrote about a request

pub use metadata::{MetadataMatch, ValueMatch};
