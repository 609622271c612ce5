//! The Kubernetes-facing input language of the mesh.
//!
//! Everything that a user writes enters through here: manifests ([`manifest`]), the mesh's own kinds ([`security`]; [`crd`]
//! tells an API server of them) and the mesh-wide settings ([`mesh_config`]). Text becomes typed objects or an error that names the place; nothing is dropped silently. This
//! crate reads and describes, it does not watch, translate or decide. With the feature `access` it also finds the API server.
//!
//! It is also the one crate that names `k8s-openapi` for the others: use [`k8s`], so that one version of these large
//! types is compiled once.

#[cfg(feature = "access")]
pub mod access;
pub mod annotation;
pub mod crd;
pub mod manifest;
pub mod mesh_config;
pub mod security;
pub mod yaml;

/// The Kubernetes API types of the version that the whole workspace uses.
pub use k8s_openapi as k8s;
