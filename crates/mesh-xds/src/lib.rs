//! Envoy's protobuf, and nothing that runs it: the only crate that names those messages.
//!
//! The other crates see the values of `mesh-model`; here they get their form on the wire and are read back from it.

pub mod ads; // how they travel: both ends, without I/O
pub mod json; // their canonical JSON
pub mod pb; // the messages themselves
pub mod resource; // the contract of a resource

pub mod bootstrap; // what a proxy starts with

// Resources, one file each
mod cluster;
mod endpoint;
mod listener;
mod name_table;
mod route;
mod secret;

// What listeners are made of
mod access_log;
mod filter;
mod http;
mod istio;
mod policy;

// What all of them are made of
mod address;
mod decode;
mod decoration;
mod matcher;
mod metadata;
mod sorted;
mod source;
mod tls;

#[cfg(test)]
mod arbitrary;
