//! One change of one object, as sources report it.

use super::unusable;
use mesh_api::{
    k8s::{
        api::{
            core::v1::{ConfigMap, Namespace, Node, Pod, Service},
            discovery::v1::EndpointSlice,
        },
        apimachinery::pkg::apis::meta::v1::ObjectMeta,
    },
    manifest::Object,
    mesh_config::{self, MeshConfig},
    security::PeerAuthentication,
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
    Namespace(Arc<Namespace>),
    PeerAuthentication(Arc<PeerAuthentication>),
    /// Settings of the mesh, read from a ConfigMap named `istio`, or `istio-REV` for a revision.
    MeshConfig(ObjectRef, Arc<MeshConfig>),
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
    Namespace,
    PeerAuthentication,
    /// The kind is ConfigMap.
    MeshConfig,
}

/// Name of the ConfigMap that holds the settings of the mesh, without that of a revision, and its key.
const MESH_CONFIG: (&str, &str) = ("istio", "mesh");

/// The ConfigMap with the settings of the mesh cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("data.mesh of the ConfigMap {name} is not understood")]
pub struct InvalidMeshConfig {
    /// The ConfigMap.
    pub name: ObjectRef,
    /// Why.
    #[source]
    pub source: mesh_config::Invalid,
}

/// What a manifest's object is to the mesh.
#[derive(Clone, Debug, PartialEq)]
pub enum Use {
    /// It is read.
    Read {
        /// The object.
        object: Stored,
        /// What of it has no effect, each with the reason.
        ignored: Vec<String>,
    },
    /// The mesh has no use for it.
    None,
    /// The mesh should read it, but this version does not.
    NotYet,
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The object is there, as given.
    Set(Stored),
    /// The object is gone.
    Gone(Kind, ObjectRef),
}

impl Use {
    /// What `object` is to the mesh.
    ///
    /// # Errors
    /// If it holds settings of the mesh that are not understood.
    pub fn of(object: Object) -> Result<Self, InvalidMeshConfig> {
        let mut ignored = Vec::new();
        let object = match object {
            Object::Service(object) => {
                ignored = unusable::unusable_of_service(&object);
                Stored::Service((*object).into())
            }
            Object::EndpointSlice(object) => {
                ignored = unusable::unusable_of_slice(&object);
                Stored::EndpointSlice((*object).into())
            }
            Object::Pod(object) => {
                ignored = unusable::unusable_of_labels(&object.metadata);
                Stored::Pod((*object).into())
            }
            Object::Node(object) => Stored::Node((*object).into()),
            Object::Namespace(object) => {
                ignored = unusable::unusable_of_labels(&object.metadata);
                Stored::Namespace((*object).into())
            }
            Object::PeerAuthentication(object) => return Ok(Self::of_peers(*object)),
            Object::ConfigMap(object) => return Self::of_config_map(&object),
            Object::Deployment(_)
            | Object::ReplicaSet(_)
            | Object::Endpoints(_)
            | Object::ServiceAccount(_) => return Ok(Self::None),
            Object::Other(object) if of_the_mesh(&object.api_version) => return Ok(Self::NotYet),
            Object::Other(_) => return Ok(Self::None),
        };
        Ok(Self::Read { object, ignored })
    }

    /// Modes of ports need a selector, as in Istio: ports of all pods of a namespace mean nothing.
    fn of_peers(mut object: PeerAuthentication) -> Self {
        let mut ignored = Vec::new();
        let spec = &mut object.spec;
        if spec.selector.match_labels.is_empty() && !spec.port_level_mtls.is_empty() {
            spec.port_level_mtls.clear();
            ignored.push("spec.portLevelMtls has no effect without spec.selector".into());
        }
        let object = Stored::PeerAuthentication(object.into());
        Self::Read { object, ignored }
    }

    fn of_config_map(object: &ConfigMap) -> Result<Self, InvalidMeshConfig> {
        let (map, key) = MESH_CONFIG;
        let text = object.data.as_ref().and_then(|data| data.get(key));
        let of_revision = |name: &str| {
            let suffix = name.strip_prefix(map);
            suffix.is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('-'))
        };
        let is_meant = object.metadata.name.as_deref().is_some_and(of_revision);
        let Some(text) = text.filter(|_| is_meant) else {
            return Ok(Self::None);
        };
        let name = ObjectRef::namespaced(&object.metadata);
        match MeshConfig::read(text) {
            Ok(read) => Ok(Self::Read {
                object: Stored::MeshConfig(name, Arc::new(read.value)),
                ignored: read
                    .unknown
                    .into_iter()
                    .map(|field| format!("data.mesh: {field} is not known to this version"))
                    .collect(),
            }),
            Err(source) => Err(InvalidMeshConfig { name, source }),
        }
    }
}

/// Whether objects of that group and version say what a mesh should do.
fn of_the_mesh(api_version: &str) -> bool {
    is_group_of_a_mesh(api_version.split('/').next().unwrap_or_default())
}

/// Whether objects of that group say what a mesh should do. Not all such groups are watched (`mesh_api::crd::GROUPS`).
pub(super) fn is_group_of_a_mesh(group: &str) -> bool {
    group.ends_with(".istio.io") || group == "gateway.networking.k8s.io"
}

impl Stored {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Pod(_) => Kind::Pod,
            Self::Node(_) => Kind::Node,
            Self::Namespace(_) => Kind::Namespace,
            Self::PeerAuthentication(_) => Kind::PeerAuthentication,
            Self::MeshConfig(..) => Kind::MeshConfig,
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
            Self::Namespace(object) => {
                ObjectRef::new("", object.metadata.name.as_deref().unwrap_or_default())
            }
            Self::PeerAuthentication(object) => ObjectRef::namespaced(&object.metadata),
            Self::MeshConfig(name, _) => name.clone(),
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
