//! Envoy's `Bootstrap`: what a proxy is started with that no control plane has to tell it.

use crate::{
    address,
    ads::{self, Version},
    decode::{self, At},
    json::{Pool, ReadError},
    pb::envoy::config::{
        bootstrap::v3::{self as wire, bootstrap::StaticResources},
        core::v3::Node,
    },
    resource::{Decoded, Invalid},
    secret,
};
use mesh_model::secret::Secret;
use prost::{Message, Name};
use std::{collections::BTreeSet, mem::take, net::SocketAddr};

/// What a bootstrap says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bootstrap {
    /// `node.id`; may be empty.
    pub node_id: String,
    /// `node.cluster`; may be empty.
    pub node_cluster: String,
    /// Where the administration interface listens; `None`: there is none.
    pub admin: Option<SocketAddr>,
    /// `static_resources.secrets`.
    pub secrets: Vec<Secret>,
    /// `static_resources.clusters`, as if they had been received.
    pub clusters: Vec<ads::Resource>,
    /// `static_resources.listeners`, as if they had been received.
    pub listeners: Vec<ads::Resource>,
}

/// A bootstrap that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadBootstrapError {
    /// It is no JSON form of the message.
    #[error(transparent)]
    Json(#[from] ReadError),
    /// It says what we do not execute.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Bootstrap {
    /// Reads its JSON form.
    ///
    /// # Errors
    /// Names the places that are wrong, or that we do not execute.
    pub fn read(json: &serde_json::Value) -> Result<Decoded<Self>, ReadBootstrapError> {
        let bytes = Pool::load().read(&wire::Bootstrap::full_name(), json)?;
        Ok(decode::decode(&bytes, decode_bootstrap)?)
    }
}

fn decode_bootstrap(mut wire: wire::Bootstrap, at: &At<'_>) -> Option<Bootstrap> {
    // The rest of the node is for control planes.
    let Node { id, cluster, .. } = wire.node.take().unwrap_or_default();
    let admin = at.optional("admin", wire.admin.take(), decode_admin);
    let resources = wire.static_resources.take();
    let resources = at.optional("static_resources", resources, decode_static);
    at.finish(wire);
    Some(Bootstrap {
        node_id: id,
        node_cluster: cluster,
        admin: admin?.flatten(),
        ..resources?.unwrap_or_default()
    })
}

fn decode_admin(mut wire: wire::Admin, at: &At<'_>) -> Option<Option<SocketAddr>> {
    let address = at.optional("address", wire.address.take(), address::listener);
    at.finish(wire);
    address
}

fn decode_static(mut wire: StaticResources, at: &At<'_>) -> Option<Bootstrap> {
    let secrets = take(&mut wire.secrets);
    let secrets = at.list("secrets", secrets, secret::decode);
    let clusters = take(&mut wire.clusters).into_iter();
    let clusters = clusters.map(|cluster| received(cluster.name.clone(), &cluster));
    let clusters = unique(clusters.collect(), &at.field("clusters"));
    let listeners = take(&mut wire.listeners).into_iter().enumerate();
    let listeners = listeners.map(|(place, mut listener)| {
        // As Envoy does, though it takes an UUID.
        if listener.name.is_empty() {
            listener.name = format!("listener-{place}");
        }
        received(listener.name.clone(), &listener)
    });
    let listeners = unique(listeners.collect(), &at.field("listeners"));
    at.finish(wire);
    Some(Bootstrap {
        secrets: secrets?,
        clusters: clusters?,
        listeners: listeners?,
        ..Bootstrap::default()
    })
}

fn received(name: String, message: &impl Message) -> ads::Resource {
    let bytes = message.encode_to_vec();
    ads::Resource {
        name,
        version: Version::of(&bytes).to_string(),
        bytes: bytes.into(),
    }
}

fn unique(all: Vec<ads::Resource>, at: &At<'_>) -> Option<Vec<ads::Resource>> {
    let mut names = BTreeSet::new();
    let twice = all.iter().enumerate().find(|(_, r)| !names.insert(&r.name));
    match twice {
        None => Some(all),
        Some((place, resource)) => at
            .index(place)
            .refuse(format!("there is another `{}`", resource.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster(name: &str) -> serde_json::Value {
        json!({"name": name, "type": "STATIC", "connectTimeout": "1s"})
    }

    #[test]
    fn static_resources_are_as_if_received() {
        let listener =
            json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}});
        let Decoded { value, ignored } = Bootstrap::read(&json!({
            "node": {"id": "a", "cluster": "b", "metadata": {"c": 1}},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}},
            "layered_runtime": {"layers": [{"name": "static"}]},
            "static_resources": {"clusters": [cluster("one"), cluster("two")], "listeners": [listener]},
        }))
        .expect("read");
        assert_eq!((&*value.node_id, &*value.node_cluster), ("a", "b"));
        assert_eq!(value.admin, "127.0.0.1:9901".parse().ok());
        let names =
            |all: &[ads::Resource]| -> Vec<_> { all.iter().map(|r| r.name.clone()).collect() };
        assert_eq!(names(&value.clusters), ["one", "two"]);
        assert_eq!(names(&value.listeners), ["listener-0"]);
        assert_eq!(ignored.len(), 1);
        assert_eq!(ignored[0].path, "layered_runtime");
    }

    #[test]
    fn what_is_not_executed_is_refused_by_its_place() {
        for (json, place) in [
            (
                json!({"dynamic_resources": {"lds_config": {"ads": {}}}}),
                "dynamic_resources",
            ),
            (
                json!({"static_resources": {"clusters": [cluster("one"), cluster("one")]}}),
                "static_resources.clusters[1]: there is another `one`",
            ),
            (
                json!({"admin": {"address": {"pipe": {"path": "a"}}}}),
                "admin.address.pipe",
            ),
            (json!({"static_resource": {}}), "static_resource"),
        ] {
            let error = Bootstrap::read(&json).expect_err(place).to_string();
            assert!(error.contains(place), "{error}");
        }
    }
}
