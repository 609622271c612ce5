//! What a client says of itself with its first request, read into what translation and tools want to know.
//!
//! What it says decides only what it is sent, so it must fit the identity that it has proven: a workload may ask for
//! the configuration of its own namespace and service account, for no other.

use crate::{ca::caller::Caller, snapshot::World, translate::Proxy};
use mesh_model::{
    endpoint::Locality,
    node::{Capabilities, InvalidNodeId, NodeId, ProxyType, extension},
};
use mesh_xds::pb::{
    envoy::config::core::v3 as core,
    google::protobuf::{Struct, Value, value::Kind},
};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// A connected client.
#[derive(Clone, Debug)]
pub struct Client {
    /// What translation reads of it.
    pub proxy: Proxy,
    /// `node.metadata` as it was sent, for tools.
    pub metadata: Map<String, Json>,
}

/// Why a client is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Its id is not of Istio's form.
    #[error(transparent)]
    Id(#[from] InvalidNodeId),
    /// Another namespace than that of its identity.
    #[error("node `{node}` claims namespace {claimed}, but its identity is {identity}")]
    Namespace {
        /// The node id.
        node: String,
        /// The namespace that it claims.
        claimed: String,
        /// What it has proven.
        identity: String,
    },
    /// Another service account than that of its identity.
    #[error("node `{node}` claims service account {claimed}, but its identity is {identity}")]
    ServiceAccount {
        /// The node id.
        node: String,
        /// The service account that it claims.
        claimed: String,
        /// What it has proven.
        identity: String,
    },
    /// Another pod than that of its token.
    #[error("node `{node}` is not the pod that its token is bound to, {bound}")]
    Pod {
        /// The node id.
        node: String,
        /// The pod of the token.
        bound: String,
    },
    /// A pod that runs under another service account than that of its identity.
    #[error(
        "node `{node}` claims to be a pod of service account {account}, but its identity is {identity}"
    )]
    PodAccount {
        /// The node id.
        node: String,
        /// The service account of the pod.
        account: String,
        /// What it has proven.
        identity: String,
    },
}

impl Client {
    /// Reads a node.
    ///
    /// # Errors
    /// If its id is not of Istio's form.
    pub fn new(node: &core::Node) -> Result<Self, NodeError> {
        let id: NodeId = node.id.parse()?;
        let metadata = node
            .metadata
            .as_ref()
            .map(json_of_struct)
            .unwrap_or_default();
        let mut proxy = Proxy::new(id, capabilities(node));
        proxy.labels = labels(&metadata);
        proxy.locality = node.locality.as_ref().map(locality).unwrap_or_default();
        let addresses = text(&metadata, "INSTANCE_IPS").split(',');
        let addresses: Vec<_> = addresses.filter_map(|ip| ip.trim().parse().ok()).collect();
        if !addresses.is_empty() {
            proxy.addresses = addresses;
        }
        Ok(Self { proxy, metadata })
    }

    /// Checks what it claims against what it has proven, and against the pod that it claims to be, if that is in the
    /// world already.
    ///
    /// # Errors
    /// If it claims to be somebody else.
    pub fn check(&self, caller: &Caller, world: &World) -> Result<(), NodeError> {
        let (node, identity) = (&self.proxy.id, &caller.identity);
        let claims = [node.namespace.as_str(), self.text("NAMESPACE")];
        let stranger = |claimed: &&&str| !claimed.is_empty() && **claimed != identity.namespace;
        if let Some(claimed) = claims.iter().find(stranger) {
            return Err(NodeError::Namespace {
                node: node.to_string(),
                claimed: (*claimed).into(),
                identity: identity.to_string(),
            });
        }
        let claimed = self.text("SERVICE_ACCOUNT");
        if !claimed.is_empty() && claimed != identity.service_account {
            return Err(NodeError::ServiceAccount {
                node: node.to_string(),
                claimed: claimed.into(),
                identity: identity.to_string(),
            });
        }
        if let Some(bound) = caller.pod.as_ref().filter(|pod| **pod != node.pod) {
            return Err(NodeError::Pod {
                node: node.to_string(),
                bound: bound.clone(),
            });
        }
        match self.proxy.workload(world) {
            Some(pod) if *pod.service_account != *identity.service_account => {
                Err(NodeError::PodAccount {
                    node: node.to_string(),
                    account: pod.service_account.to_string(),
                    identity: identity.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// A text of the metadata; empty if it is not there.
    pub fn text(&self, key: &str) -> &str {
        text(&self.metadata, key)
    }

    /// Istio's word for the kind of proxy.
    pub fn kind(&self) -> &'static str {
        match self.proxy.id.proxy_type {
            ProxyType::Sidecar => "sidecar",
            ProxyType::Router => "router",
        }
    }
}

fn capabilities(node: &core::Node) -> Capabilities {
    let has = |name: &str, category: &str| {
        node.extensions
            .iter()
            .any(|e| !e.disabled && e.name == name && e.category == category)
    };
    Capabilities {
        tcp_metadata_exchange: has(extension::METADATA_EXCHANGE, extension::CATEGORY_NETWORK),
        http_peer_metadata: has(extension::METADATA_EXCHANGE, extension::CATEGORY_HTTP),
        alpn: has(extension::ALPN, extension::CATEGORY_HTTP),
        stats: has(extension::STATS, extension::CATEGORY_HTTP),
    }
}

fn locality(l: &core::Locality) -> Locality {
    Locality {
        region: l.region.as_str().into(),
        zone: l.zone.as_str().into(),
        sub_zone: l.sub_zone.as_str().into(),
    }
}

fn labels(metadata: &Map<String, Json>) -> BTreeMap<String, String> {
    let labels = metadata.get("LABELS").and_then(Json::as_object);
    let texts = labels
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())));
    texts.collect()
}

fn text<'a>(metadata: &'a Map<String, Json>, key: &str) -> &'a str {
    metadata.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn json_of_struct(fields: &Struct) -> Map<String, Json> {
    let mut all: Vec<_> = fields.fields.iter().collect();
    all.sort_by_key(|(key, _)| *key);
    all.into_iter()
        .map(|(key, value)| (key.clone(), json(value)))
        .collect()
}

/// As deep as protobuf lets a message nest, so that recursion is bounded.
fn json(value: &Value) -> Json {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::NumberValue(n)) => Json::from(*n),
        Some(Kind::StringValue(s)) => Json::from(s.as_str()),
        Some(Kind::BoolValue(b)) => Json::from(*b),
        Some(Kind::StructValue(fields)) => Json::Object(json_of_struct(fields)),
        Some(Kind::ListValue(list)) => list.values.iter().map(json).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ca::caller::Proof, testing::world};

    fn string(text: &str) -> Value {
        Value {
            kind: Some(Kind::StringValue(text.into())),
        }
    }

    fn node(metadata: &[(&str, Value)]) -> core::Node {
        let fields = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        core::Node {
            id: "sidecar~10.0.0.1~web.test~test.svc.cluster.local".into(),
            metadata: Some(Struct { fields }),
            extensions: vec![core::Extension {
                name: extension::ALPN.into(),
                category: extension::CATEGORY_HTTP.into(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn caller(namespace: &str, service_account: &str) -> Caller {
        let identity = format!("spiffe://cluster.local/ns/{namespace}/sa/{service_account}");
        Caller {
            identity: identity.parse().expect("identity"),
            pod: None,
            proof: Proof::Token,
        }
    }

    #[test]
    fn reads_what_translation_needs() {
        let labels = Struct {
            fields: [("app".to_owned(), string("web"))].into(),
        };
        let labels = Value {
            kind: Some(Kind::StructValue(labels)),
        };
        let client = Client::new(&node(&[
            ("INSTANCE_IPS", string("10.0.0.1,fd00::1")),
            ("LABELS", labels),
        ]))
        .expect("valid");
        assert_eq!(client.proxy.addresses.len(), 2);
        assert_eq!(client.proxy.labels["app"], "web");
        assert!(client.proxy.capabilities.alpn && !client.proxy.capabilities.stats);
        assert_eq!(client.kind(), "sidecar");
    }

    #[test]
    fn sec_56_a_node_must_be_who_it_has_proven_to_be() {
        let client = |metadata: &[(&str, Value)]| Client::new(&node(metadata)).expect("valid");
        let plain = client(&[]);
        assert_eq!(plain.check(&caller("test", "any"), &world("")), Ok(()));
        let error = plain
            .check(&caller("other", "any"), &world(""))
            .expect_err("another namespace");
        assert!(
            error.to_string().contains("claims namespace test"),
            "{error}"
        );
        let lying = client(&[("NAMESPACE", string("other"))]);
        assert!(matches!(
            lying.check(&caller("test", "any"), &world("")),
            Err(NodeError::Namespace { .. })
        ));
        let account = client(&[("SERVICE_ACCOUNT", string("admin"))]);
        assert_eq!(account.check(&caller("test", "admin"), &world("")), Ok(()));
        assert!(matches!(
            account.check(&caller("test", "web"), &world("")),
            Err(NodeError::ServiceAccount { .. })
        ));
    }

    #[test]
    fn sec_56_a_node_must_be_the_pod_of_its_token_and_of_its_account() {
        let client = Client::new(&node(&[])).expect("valid");
        let bound = |pod: &str| Caller {
            pod: Some(pod.into()),
            ..caller("test", "web")
        };
        let of_account = |account: &str| {
            world(&format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: test}}\nspec: {{serviceAccountName: {account}, containers: []}}\n"
            ))
        };
        assert_eq!(client.check(&bound("web"), &world("")), Ok(()));
        assert_eq!(client.check(&bound("web"), &of_account("web")), Ok(()));
        assert!(matches!(
            client.check(&bound("other"), &world("")),
            Err(NodeError::Pod { .. })
        ));
        assert!(matches!(
            client.check(&caller("test", "web"), &of_account("admin")),
            Err(NodeError::PodAccount { .. })
        ));
    }

    #[test]
    fn a_foreign_id_is_refused() {
        let node = core::Node {
            id: "me".into(),
            ..Default::default()
        };
        assert!(matches!(Client::new(&node), Err(NodeError::Id(_))));
    }
}
