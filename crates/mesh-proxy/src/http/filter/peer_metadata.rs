//! `istio.metadata_exchange` on HTTP: peers tell each other which workload they are, by two headers.
//!
//! `x-envoy-peer-metadata` is a protobuf `Struct` in base64, `x-envoy-peer-metadata-id` a name that goes with it. They
//! travel between proxies only: ours go to an endpoint that proved to be of the mesh, and to a client that sent its own;
//! those of others never reach an application.

use crate::{
    network::metadata_exchange::{metadata, workload},
    telemetry::Workload,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_model::http as model;
use prost::Message;
use prost_types::Struct;
use std::{cell::RefCell, collections::HashMap, rc::Rc};

const METADATA: HeaderName = HeaderName::from_static("x-envoy-peer-metadata");
const ID: HeaderName = HeaderName::from_static("x-envoy-peer-metadata-id");
/// Longest value that is read, in bytes.
const LONGEST: usize = 16 * 1024;
/// Peers that a worker remembers; beyond, it begins anew.
const REMEMBERED: usize = 1024;

/// A compiled [`model::PeerMetadata`].
#[derive(Debug)]
pub(in crate::http) struct PeerMetadata {
    model: model::PeerMetadata,
    own: OwnMetadata,
}

/// What we say of ourselves.
#[derive(Clone, Debug)]
pub(in crate::http) struct OwnMetadata {
    id: HeaderValue,
    metadata: HeaderValue,
}

impl OwnMetadata {
    fn new(own: &Workload) -> Self {
        let text = BASE64_STANDARD.encode(metadata(own).encode_to_vec());
        let id = format!("{}.{}~{}", own.name, own.namespace, own.canonical_revision);
        let empty = || HeaderValue::from_static("");
        Self {
            id: HeaderValue::from_str(&id).unwrap_or_else(|_| empty()),
            metadata: HeaderValue::from_str(&text).unwrap_or_else(|_| empty()),
        }
    }

    /// Says it in `headers`.
    pub(in crate::http) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(ID, self.id.clone());
        headers.insert(METADATA, self.metadata.clone());
    }
}

impl PeerMetadata {
    pub(super) fn new(model: &model::PeerMetadata, own: &Workload) -> Self {
        Self {
            model: *model,
            own: OwnMetadata::new(own),
        }
    }

    /// What the client says of itself. The headers are taken off: the application is not to see a peer's, and the network
    /// not one that an application made up.
    pub(super) fn client(&self, headers: &mut HeaderMap) -> Option<Rc<Workload>> {
        let told = take(headers);
        told.filter(|_| self.model.downstream_discovery)
    }

    /// What an endpoint of the mesh is to be told.
    pub(super) fn for_server(&self) -> Option<&OwnMetadata> {
        self.model.upstream_propagation.then_some(&self.own)
    }

    /// What the server says of itself.
    pub(super) fn server(&self, headers: &mut HeaderMap) -> Option<Rc<Workload>> {
        let told = take(headers);
        told.filter(|_| self.model.upstream_discovery)
    }

    /// What a client that told of itself is to be told.
    pub(super) fn for_client(&self) -> Option<&OwnMetadata> {
        self.model.downstream_propagation.then_some(&self.own)
    }
}

fn take(headers: &mut HeaderMap) -> Option<Rc<Workload>> {
    headers.remove(ID);
    let value = headers.remove(METADATA)?;
    // A peer says the same with every request.
    thread_local! {
        static KNOWN: RefCell<HashMap<HeaderValue, Rc<Workload>, foldhash::fast::RandomState>> =
            RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(workload) = known.get(&value) {
            return Some(Rc::clone(workload));
        }
        let read = Rc::new(read(&value)?);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(value, Rc::clone(&read));
        Some(read)
    })
}

fn read(value: &HeaderValue) -> Option<Workload> {
    if value.len() > LONGEST {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(value.as_bytes()).ok()?;
    let metadata = Struct::decode(&bytes[..]).ok()?;
    Some(workload(&metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: model::PeerMetadata = model::PeerMetadata {
        downstream_discovery: true,
        downstream_propagation: true,
        upstream_discovery: true,
        upstream_propagation: true,
    };

    fn nginx() -> Workload {
        Workload {
            name: "nginx".into(),
            namespace: "test".into(),
            ..Workload::default()
        }
    }

    #[test]
    fn what_one_says_the_other_reads_and_takes_off() {
        let filter = PeerMetadata::new(&BOTH, &nginx());
        let mut headers = HeaderMap::new();
        filter.for_server().expect("told").write(&mut headers);
        assert_eq!(headers[ID], "nginx.test~");
        for _ in 0..2 {
            let mut headers = headers.clone();
            let peer = filter.client(&mut headers).expect("told");
            assert_eq!(*peer, nginx());
            assert!(headers.is_empty());
        }
    }

    #[test]
    fn what_can_not_be_read_is_taken_off_too() {
        let long = "A".repeat(LONGEST + 4);
        for bad in ["", "%%%", "AAAA", &long] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(bad).expect("a value");
            headers.insert(METADATA, value);
            let filter = PeerMetadata::new(&BOTH, &nginx());
            let peer = filter.client(&mut headers);
            assert!(
                peer.is_none_or(|p| p.name.is_empty()) && headers.is_empty(),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_not_configured_is_neither_read_nor_said() {
        let filter = PeerMetadata::new(&model::PeerMetadata::default(), &nginx());
        assert!(filter.for_server().is_none() && filter.for_client().is_none());
        let mut headers = HeaderMap::new();
        filter.own.write(&mut headers);
        assert!(filter.client(&mut headers).is_none() && headers.is_empty());
    }
}
