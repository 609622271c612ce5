//! A document as an object of its kind.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Document, Invalid, Reason, unknown_fields};
use crate::k8s::api::apps::v1::{Deployment, ReplicaSet};
use crate::k8s::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, Pod, Service, ServiceAccount,
};
use crate::k8s::api::discovery::v1::EndpointSlice;
use crate::k8s::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use crate::security::{self, PeerAuthentication};

/// An object that the mesh reads, typed; anything else is [`Object::Other`].
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "each variant is the Kubernetes kind of its name"
)]
pub enum Object {
    Pod(Box<Pod>),
    Deployment(Box<Deployment>),
    ReplicaSet(Box<ReplicaSet>),
    Service(Box<Service>),
    Endpoints(Box<Endpoints>),
    EndpointSlice(Box<EndpointSlice>),
    Namespace(Box<Namespace>),
    ServiceAccount(Box<ServiceAccount>),
    ConfigMap(Box<ConfigMap>),
    Node(Box<Node>),
    PeerAuthentication(Box<PeerAuthentication>),
    /// A kind that this version does not read: kept, so that it can be reported.
    Other(Box<Other>),
}

/// An object of a kind that has no type here.
#[derive(Debug, Clone, PartialEq)]
pub struct Other {
    /// Group and version, such as `networking.istio.io/v1`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its metadata; empty for files such as a Kustomization that have none.
    pub metadata: ObjectMeta,
    /// The whole object.
    pub value: Value,
}

/// Runs `$body` with `$object` bound to the typed object of any variant but `Other`.
macro_rules! for_typed {
    ($self:expr, $object:ident => $body:expr, other $other:ident => $fallback:expr) => {
        match $self {
            Object::Pod($object) => $body,
            Object::Deployment($object) => $body,
            Object::ReplicaSet($object) => $body,
            Object::Service($object) => $body,
            Object::Endpoints($object) => $body,
            Object::EndpointSlice($object) => $body,
            Object::Namespace($object) => $body,
            Object::ServiceAccount($object) => $body,
            Object::ConfigMap($object) => $body,
            Object::Node($object) => $body,
            Object::PeerAuthentication($object) => $body,
            Object::Other($other) => $fallback,
        }
    };
}

impl Object {
    /// Makes a typed object of `document`.
    ///
    /// # Errors
    /// If `apiVersion`, `kind` or the name is missing, or a field of a known kind has a value of the wrong type.
    pub fn from_document(document: &Document) -> Result<Self, Invalid> {
        let missing = |field| Invalid {
            place: document.place.clone(),
            reason: Reason::Missing { field },
        };
        let api_version = document
            .str_field("apiVersion")
            .ok_or_else(|| missing("apiVersion"))?;
        let kind = document.str_field("kind").ok_or_else(|| missing("kind"))?;
        let object = match (api_version, kind) {
            ("v1", "Pod") => Self::Pod(typed(document)?),
            ("v1", "Service") => Self::Service(typed(document)?),
            ("v1", "Endpoints") => Self::Endpoints(typed(document)?),
            ("v1", "Namespace") => Self::Namespace(typed(document)?),
            ("v1", "ServiceAccount") => Self::ServiceAccount(typed(document)?),
            ("v1", "ConfigMap") => Self::ConfigMap(typed(document)?),
            ("v1", "Node") => Self::Node(typed(document)?),
            ("apps/v1", "Deployment") => Self::Deployment(typed(document)?),
            ("apps/v1", "ReplicaSet") => Self::ReplicaSet(typed(document)?),
            ("discovery.k8s.io/v1", "EndpointSlice") => Self::EndpointSlice(typed(document)?),
            (version, "PeerAuthentication") if is_of(version, security::GROUP) => {
                Self::PeerAuthentication(typed(document)?)
            }
            _ => Self::Other(Box::new(Other::new(api_version, kind, document)?)),
        };
        let named = !object.name().is_empty() || object.metadata().generate_name.is_some();
        if !named && !matches!(object, Self::Other(_)) {
            return Err(missing("metadata.name"));
        }
        Ok(object)
    }

    /// The kind, as written in a manifest.
    #[must_use]
    pub fn kind(&self) -> &str {
        fn of<T: crate::k8s::Resource>(_: &T) -> &'static str {
            T::KIND
        }
        for_typed!(self, object => of(&**object), other other => &other.kind)
    }

    /// `metadata.name`; empty when the object has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`, if set.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.metadata().namespace.as_deref()
    }

    /// The metadata.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        for_typed!(self, object => &object.metadata, other other => &other.metadata)
    }

    /// The fields of `written`, which this object was made of, that its type does not know.
    #[must_use]
    pub fn unknown_fields(&self, written: &Value) -> Vec<String> {
        fn of<T: Serialize>(typed: &T, written: &Value) -> Vec<String> {
            serde_json::to_value(typed)
                .map(|understood| unknown_fields(written, &understood))
                .unwrap_or_default()
        }
        for_typed!(self, object => of(object, written), other _other => Vec::new())
    }
}

impl Other {
    fn new(api_version: &str, kind: &str, document: &Document) -> Result<Self, Invalid> {
        #[derive(Deserialize)]
        struct Partial {
            metadata: Option<ObjectMeta>,
        }
        Ok(Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            metadata: document.typed::<Partial>()?.metadata.unwrap_or_default(),
            value: document.value.clone(),
        })
    }
}

/// Whether a version is of `group`; the versions of Istio's groups do not differ in form.
fn is_of(api_version: &str, group: &str) -> bool {
    api_version.split_once('/').is_some_and(|(g, _)| g == group)
}

fn typed<T: DeserializeOwned>(document: &Document) -> Result<Box<T>, Invalid> {
    document.typed().map(Box::new)
}

impl Document {
    /// This document as a `T`, whatever its kind says.
    ///
    /// # Errors
    /// If a field holds something that its type cannot; the error names the path of the field.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, Invalid> {
        typed_value(&self.value).map_err(|reason| Invalid {
            place: self.place.clone(),
            reason,
        })
    }
}

/// `value` as a `T`.
///
/// # Errors
/// [`Reason::Field`] if a field holds something that its type cannot.
pub fn typed_value<T: DeserializeOwned>(value: &Value) -> Result<T, Reason> {
    serde_path_to_error::deserialize(value).map_err(|error| Reason::Field {
        path: error.path().to_string(),
        message: error.inner().to_string(),
    })
}
