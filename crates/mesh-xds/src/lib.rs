//! mesh-xds

pub mod pb;
