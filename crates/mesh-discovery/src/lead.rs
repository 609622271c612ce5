//! What one replica alone does for the cluster: it writes what all of them would write alike.
//!
//! Serving needs no leader; every replica reads and serves by itself. Only who writes into the cluster holds the lease, so
//! that replicas (of different versions, during an upgrade) do not write against each other.

mod lease; // who leads
mod root_certificates; // the roots, in every namespace
mod root_rotation; // a new root before the old one ends

pub use lease::Election;
pub use root_certificates::RootCertificates;
pub use root_rotation::RootRotation;
