//! Responses: what a server hands to the encoder, and what a client has received.

use bytes::Bytes;

use super::{EncodedDeltaResponse, EncodedResponse, ResourceType, SharedResource};
use crate::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};

/// A response to send, of either protocol.
#[derive(Clone, Debug)]
pub struct Response {
    /// The type of the resources.
    pub kind: ResourceType,
    /// The version of the push.
    pub version: String,
    /// What the client repeats.
    pub nonce: String,
    /// The resources.
    pub resources: Vec<SharedResource>,
    /// Names that exist no more. Always empty in the state-of-the-world protocol.
    pub removed: Vec<String>,
    /// The encoded `ControlPlane`.
    pub control_plane: Bytes,
}

impl From<Response> for EncodedResponse {
    fn from(response: Response) -> Self {
        Self {
            version_info: response.version,
            resources: response.resources.iter().map(SharedResource::any).collect(),
            type_url: response.kind.type_url().into(),
            nonce: response.nonce,
            control_plane: Some(response.control_plane),
        }
    }
}

impl From<Response> for EncodedDeltaResponse {
    fn from(response: Response) -> Self {
        Self {
            system_version_info: response.version,
            resources: response
                .resources
                .iter()
                .map(SharedResource::wire)
                .collect(),
            type_url: response.kind.type_url().into(),
            nonce: response.nonce,
            removed_resources: response.removed,
            control_plane: Some(response.control_plane),
        }
    }
}

/// A response that a client has received, of either protocol.
#[derive(Clone, Debug)]
pub struct Received {
    /// Type URL of the response.
    pub type_url: String,
    /// Version of the response.
    pub version: String,
    /// What to repeat.
    pub nonce: String,
    /// The resources.
    pub resources: Vec<ReceivedResource>,
    /// Names that exist no more.
    pub removed: Vec<String>,
    /// Name of the control plane, as it calls itself.
    pub control_plane: Option<String>,
}

/// One resource of a [`Received`].
#[derive(Clone, Debug)]
pub struct ReceivedResource {
    /// Its name. The state-of-the-world protocol has it only inside the payload.
    pub name: Option<String>,
    /// Its version.
    pub version: String,
    /// Type URL and payload. Missing in a message that only extends a lifetime.
    pub payload: Option<(String, Bytes)>,
}

impl From<DiscoveryResponse> for Received {
    fn from(response: DiscoveryResponse) -> Self {
        let version = response.version_info;
        let resource = |any: crate::pb::google::protobuf::Any| ReceivedResource {
            name: None,
            version: version.clone(),
            payload: Some((any.type_url, any.value.into())),
        };
        Self {
            resources: response.resources.into_iter().map(resource).collect(),
            version,
            type_url: response.type_url,
            nonce: response.nonce,
            removed: Vec::new(),
            control_plane: response.control_plane.map(|plane| plane.identifier),
        }
    }
}

impl From<DeltaDiscoveryResponse> for Received {
    fn from(response: DeltaDiscoveryResponse) -> Self {
        let resource =
            |resource: crate::pb::envoy::service::discovery::v3::Resource| ReceivedResource {
                name: Some(resource.name),
                version: resource.version,
                payload: resource
                    .resource
                    .map(|any| (any.type_url, any.value.into())),
            };
        Self {
            resources: response.resources.into_iter().map(resource).collect(),
            version: response.system_version_info,
            type_url: response.type_url,
            nonce: response.nonce,
            removed: response.removed_resources,
            control_plane: response.control_plane.map(|plane| plane.identifier),
        }
    }
}
