//! Encoded messages are the generated ones, byte for byte.

use prost::Message;

use super::*;
use crate::pb::{
    envoy::{config::core::v3::ControlPlane, service::discovery::v3::Resource as PbResource},
    google::protobuf::Any,
};

const PAYLOADS: [(&str, &[u8]); 4] = [
    ("a", b"abc"),
    ("", b"x"),
    ("long.name.of.a.cluster", &[7; 300]),
    ("empty", b""),
];

fn any(kind: ResourceType, payload: &[u8]) -> Any {
    Any {
        type_url: kind.type_url().into(),
        value: payload.into(),
    }
}

fn response(kind: ResourceType) -> Response {
    Response {
        kind,
        version: "2026-01-01T00:00:00Z/7".into(),
        nonce: "n".into(),
        resources: PAYLOADS
            .iter()
            .map(|(name, payload)| SharedResource::new(kind, name, payload))
            .collect(),
        removed: strings(&["gone", "lost"]),
        control_plane: control_plane(r#"{"Component":"istiod"}"#),
    }
}

fn plane() -> Option<ControlPlane> {
    Some(ControlPlane {
        identifier: r#"{"Component":"istiod"}"#.into(),
    })
}

#[test]
fn a_delta_response_is_that_of_the_generated_type() {
    for kind in ResourceType::ALL {
        let ours = EncodedDeltaResponse::from(response(kind)).encode_to_vec();
        let resource = |(name, payload): &(&str, &[u8])| PbResource {
            name: (*name).into(),
            version: Version::of(payload).to_string(),
            resource: Some(any(kind, payload)),
            ..Default::default()
        };
        let theirs = DeltaDiscoveryResponse {
            system_version_info: "2026-01-01T00:00:00Z/7".into(),
            resources: PAYLOADS.iter().map(resource).collect(),
            type_url: kind.type_url().into(),
            removed_resources: strings(&["gone", "lost"]),
            nonce: "n".into(),
            control_plane: plane(),
            ..Default::default()
        };
        assert_eq!(ours, theirs.encode_to_vec(), "{kind:?}");
    }
}

#[test]
fn a_sotw_response_is_that_of_the_generated_type() {
    for kind in ResourceType::ALL {
        let ours = EncodedResponse::from(response(kind)).encode_to_vec();
        let theirs = DiscoveryResponse {
            version_info: "2026-01-01T00:00:00Z/7".into(),
            resources: PAYLOADS
                .iter()
                .map(|(_, payload)| any(kind, payload))
                .collect(),
            type_url: kind.type_url().into(),
            nonce: "n".into(),
            control_plane: plane(),
            ..Default::default()
        };
        assert_eq!(ours, theirs.encode_to_vec(), "{kind:?}");
    }
}

#[test]
fn a_resource_is_shared_rather_than_copied() {
    let resource = SharedResource::new(ResourceType::Cluster, "a", &[1; 1000]);
    let (one, two) = (resource.wire(), resource.clone().wire());
    assert_eq!(one.as_ptr(), two.as_ptr());
    let any = resource.any();
    assert!(
        one.as_ptr_range().contains(&any.as_ptr()),
        "the Any lies inside the resource"
    );
}

#[test]
fn versions_follow_content_and_survive_text() {
    let version = Version::of(b"content");
    assert_eq!(version, Version::of(b"content"));
    assert_ne!(version, Version::of(b"contents"));
    assert_eq!(version.to_string().parse(), Ok(version));
    // The same in every build: a replica must not send again what another has sent.
    assert_eq!(Version::of(b"").to_string(), "e3b0c44298fc1c14");
}

#[test]
fn type_urls_are_told_apart() {
    for kind in ResourceType::ALL {
        assert_eq!(ResourceType::from_type_url(kind.type_url()), Some(kind));
    }
    assert_eq!(
        ResourceType::from_type_url("type.googleapis.com/envoy.service.runtime.v3.Runtime"),
        None
    );
    assert_eq!(ResourceType::from_type_url(""), None);
}
