//! Discovery responses whose resources are already encoded.
//!
//! Generated messages own every resource, so that each connection would copy each resource before the encoder copies
//! it once more. These have the same fields under the same tags, with the submessages as shared bytes: on the wire
//! there is no difference, and a resource is copied once for each connection, into the frame that leaves.

use bytes::Bytes;
use prost::Message;

use crate::pb::envoy::config::core::v3::ControlPlane;

/// `envoy.service.discovery.v3.DiscoveryResponse` with encoded resources.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EncodedResponse {
    /// The version of the type after this response.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// Each an encoded `google.protobuf.Any`.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub resources: Vec<Bytes>,
    /// Type URL of the resources.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the client repeats in its ACK or NACK.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// An encoded `envoy.config.core.v3.ControlPlane`.
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub control_plane: Option<Bytes>,
}

/// `envoy.service.discovery.v3.DeltaDiscoveryResponse` with encoded resources.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EncodedDeltaResponse {
    /// The version of the whole state, for people.
    #[prost(string, tag = "1")]
    pub system_version_info: String,
    /// Each an encoded `envoy.service.discovery.v3.Resource`.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub resources: Vec<Bytes>,
    /// Type URL of the resources.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the client repeats in its ACK or NACK.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// Names that exist no more.
    #[prost(string, repeated, tag = "6")]
    pub removed_resources: Vec<String>,
    /// An encoded `envoy.config.core.v3.ControlPlane`.
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub control_plane: Option<Bytes>,
}

/// The encoded `ControlPlane` that every response of a server carries.
///
/// Istio's identifier is JSON, `{"Component":"istiod","ID":"<pod>","Info":{…}}`; tools read `ID`.
pub fn control_plane(identifier: &str) -> Bytes {
    ControlPlane {
        identifier: identifier.into(),
    }
    .encode_to_vec()
    .into()
}
