//! Policies of `security.istio.io`.

mod peer_authentication;

pub use peer_authentication::{
    MtlsMode, MutualTls, PeerAuthentication, PeerAuthenticationSpec, WorkloadSelector,
};

/// The group.
pub const GROUP: &str = "security.istio.io";
