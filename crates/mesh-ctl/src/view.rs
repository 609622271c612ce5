//! What is shown: rows from resources, and the three forms of output.
//!
//! Pure: gets values, gives text.

pub(crate) mod age;
pub(crate) mod bootstrap;
pub(crate) mod cluster;
pub(crate) mod columns;
pub(crate) mod description;
pub(crate) mod diff;
pub(crate) mod document;
pub(crate) mod ecds;
pub(crate) mod endpoint;
pub(crate) mod hooks;
pub(crate) mod injection;
pub(crate) mod listener;
pub(crate) mod route;
pub(crate) mod secret;
pub(crate) mod status;
pub(crate) mod version;
