//! Pure facts of the mesh: names, ports, constants, and the data plane's own types.
//!
//! Every other crate stands on this one. It does no I/O and knows neither tokio, Kubernetes nor protobuf, so that what
//! the proxy can execute is described once, in plain Rust, and nothing that only a wire format needs creeps in.
//!
//! The data plane's types ([`listener`], [`filter`], [`route`], [`cluster`], [`endpoint`], [`secret`]) hold exactly what
//! the proxy executes. Their names are Envoy's. `mesh-xds` translates them to and from the wire.

// Names and numbers
pub mod annotation; // labels and annotations of Kubernetes objects
pub mod env; //        environment variables
pub mod identity; //   SPIFFE ids
pub mod name; //       names of clusters, listeners, routes, secrets
pub mod node; //       who a proxy is
pub mod port; //       ports and ids

// The data plane, in the order of a packet's path
pub mod listener; //   what is accepted, and how a chain is picked
pub mod tls; //        contexts of both directions
pub mod filter; //     network filters
pub mod http; //       the connection manager and its filters
pub mod route; //      route tables
pub mod cluster; //    where requests may go
pub mod endpoint; //   the addresses of a cluster
pub mod secret; //     certificates and trust
pub mod access_log; // what is logged
pub mod matcher; //    string matching
pub mod policy; //     who may do what
pub mod name_table; // what DNS answers in a pod

pub use identity::SpiffeId;
pub use name::{ClusterName, ListenerName, RouteName, SecretName};
