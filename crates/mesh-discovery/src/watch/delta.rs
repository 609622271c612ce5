//! One change of one object, as sources report it.

use mesh_api::{
    k8s::{
        api::{
            core::v1::{ConfigMap, Node, Pod, Service},
            discovery::v1::EndpointSlice,
        },
        apimachinery::pkg::apis::meta::v1::ObjectMeta,
    },
    manifest::Object,
};
use std::{fmt, sync::Arc};

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Namespace; empty for kinds that have none.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectRef {
    /// The object `name` in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The object with this metadata, of a kind that lives in namespaces; a missing one is `default`.
    pub fn namespaced(metadata: &ObjectMeta) -> Self {
        let namespace = metadata.namespace.as_deref().filter(|n| !n.is_empty());
        Self::new(
            namespace.unwrap_or("default"),
            metadata.name.as_deref().unwrap_or_default(),
        )
    }
}

/// An object of a kind that the mesh reads.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "each variant is the Kubernetes kind of its name"
)]
pub enum Stored {
    Service(Arc<Service>),
    EndpointSlice(Arc<EndpointSlice>),
    Pod(Arc<Pod>),
    Node(Arc<Node>),
    ConfigMap(Arc<ConfigMap>),
}

/// A kind that the mesh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "each variant is the Kubernetes kind of its name"
)]
pub enum Kind {
    Service,
    EndpointSlice,
    Pod,
    Node,
    ConfigMap,
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The object is there, as given.
    Set(Stored),
    /// The object is gone.
    Gone(Kind, ObjectRef),
}

impl Stored {
    /// An object from a manifest; `None` if it is of a kind that the mesh does not read.
    pub fn from_manifest(object: Object) -> Option<Self> {
        Some(match object {
            Object::Service(object) => Self::Service((*object).into()),
            Object::EndpointSlice(object) => Self::EndpointSlice((*object).into()),
            Object::Pod(object) => Self::Pod((*object).into()),
            Object::Node(object) => Self::Node((*object).into()),
            Object::ConfigMap(object) => Self::ConfigMap((*object).into()),
            Object::Deployment(_)
            | Object::ReplicaSet(_)
            | Object::Endpoints(_)
            | Object::Namespace(_)
            | Object::ServiceAccount(_)
            | Object::Other(_) => return None,
        })
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Pod(_) => Kind::Pod,
            Self::Node(_) => Kind::Node,
            Self::ConfigMap(_) => Kind::ConfigMap,
        }
    }

    /// Its namespace and name.
    pub fn name(&self) -> ObjectRef {
        match self {
            Self::Service(object) => ObjectRef::namespaced(&object.metadata),
            Self::EndpointSlice(object) => ObjectRef::namespaced(&object.metadata),
            Self::Pod(object) => ObjectRef::namespaced(&object.metadata),
            Self::Node(object) => {
                ObjectRef::new("", object.metadata.name.as_deref().unwrap_or_default())
            }
            Self::ConfigMap(object) => ObjectRef::namespaced(&object.metadata),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            return f.write_str(&self.name);
        }
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
