//! What is shown: rows from resources, and the three forms of output.
//!
//! Pure: gets values, gives text.

pub(crate) mod cluster;
pub(crate) mod columns;
pub(crate) mod document;
pub(crate) mod endpoint;
pub(crate) mod listener;
pub(crate) mod route;
