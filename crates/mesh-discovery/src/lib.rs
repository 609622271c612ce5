//! mesh-discovery

pub mod ca;
