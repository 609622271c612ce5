//! Both ends against the rules: the rows of Istio section 3.4 for each machine, and a model of the two together.

use std::time::{Duration, SystemTime};

use super::*;
use crate::pb::{
    envoy::{
        config::core::v3::Node,
        service::discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
        },
    },
    google::rpc::Status,
};

mod client;
mod delta_server;
mod hostile;
mod model;
mod service;
mod sotw_server;
mod wire;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn stamp(version: &str) -> Stamp {
    Stamp {
        version: version.into(),
        now: at(1),
    }
}

fn node() -> Option<Node> {
    Some(Node {
        id: "sidecar~10.0.0.1~a.b~b.svc.cluster.local".into(),
        ..Default::default()
    })
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).into()).collect()
}

/// Resources as `name=content`.
fn resources(kind: ResourceType, specs: &[&str]) -> Vec<SharedResource> {
    let resource = |spec: &&str| {
        let (name, content) = spec.split_once('=').unwrap_or((spec, "1"));
        SharedResource::new(kind, name, content.as_bytes())
    };
    specs.iter().map(resource).collect()
}

/// A resource of this many bytes.
fn large(kind: ResourceType, name: &str, bytes: usize) -> SharedResource {
    SharedResource::with_version(kind, name, Version::NONE, &vec![0; bytes])
}

/// A server's messages as text: `+a +b -c`, one line for each.
fn said(responses: &[Response]) -> Vec<String> {
    let line = |response: &Response| {
        let added = response
            .resources
            .iter()
            .map(|resource| format!("+{}", resource.name()));
        let removed = response.removed.iter().map(|name| format!("-{name}"));
        added.chain(removed).collect::<Vec<_>>().join(" ")
    };
    responses.iter().map(line).collect()
}

/// All that a server says to what is due, each message with its type.
fn answers(
    server: &mut Server,
    world: impl Fn(ResourceType) -> Vec<SharedResource>,
) -> Vec<Response> {
    let mut all = Vec::new();
    while let Some(ask) = server.asked() {
        all.extend(
            server
                .answer(&ask, &world(ask.kind()), &stamp("v1"))
                .unwrap(),
        );
    }
    while let Some(response) = server.withdraw(&stamp("v1")) {
        all.push(response);
    }
    all
}

/// All that a server says to a push of everything.
fn push(server: &mut Server, world: impl Fn(ResourceType) -> Vec<SharedResource>) -> Vec<Response> {
    let mut all = Vec::new();
    for kind in ResourceType::ALL {
        if let Some(ask) = server.refresh(kind) {
            all.extend(server.answer(&ask, &world(kind), &stamp("v2")).unwrap());
        }
    }
    while let Some(response) = server.withdraw(&stamp("v2")) {
        all.push(response);
    }
    all
}

fn state(server: &Server, kind: ResourceType) -> SyncState {
    server
        .status()
        .find(|status| status.kind == kind)
        .unwrap()
        .state
}

fn error(text: &str) -> Option<Status> {
    Some(Status {
        code: 13,
        message: text.into(),
        ..Default::default()
    })
}
