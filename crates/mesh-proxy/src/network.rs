//! LAYER 4: what happens to the bytes of a connection that is not HTTP, and metadata exchange before either.

pub mod metadata_exchange; // peers tell each other who they are, in front of the first byte
pub mod tcp_proxy; //         bytes to a cluster
pub mod copy; //              the one two-way copy
pub mod rbac; //              who may connect

pub use rbac::Rbac;
pub use tcp_proxy::TcpProxy;
