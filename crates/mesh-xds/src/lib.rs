//! mesh-xds

pub mod json;
pub mod pb;
