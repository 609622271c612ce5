//! The objects that the mesh reads, by kind, as they stand now.
//!
//! Written by the one task that drains a source; every write says what it touched, so that the next snapshot looks at
//! nothing else.

use super::{Delta, Kind, ObjectRef, Stored};
use mesh_api::k8s::api::{
    core::v1::{Namespace, Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use mesh_api::{mesh_config::MeshConfig, security::PeerAuthentication};
use mesh_model::annotation::SLICE_SERVICE_NAME;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What was written since somebody last looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Services.
    pub services: BTreeSet<ObjectRef>,
    /// Services whose slices were written.
    pub slices: BTreeSet<ObjectRef>,
    /// Pods.
    pub pods: BTreeSet<ObjectRef>,
    /// Nodes.
    pub nodes: BTreeSet<ObjectRef>,
    /// Namespaces.
    pub namespaces: BTreeSet<ObjectRef>,
    /// Policies for peers.
    pub peer_authentications: BTreeSet<ObjectRef>,
    /// Settings of the mesh.
    pub mesh_configs: BTreeSet<ObjectRef>,
}

impl Touched {
    /// This, and `other`.
    pub fn merge(&mut self, other: Self) {
        self.services.extend(other.services);
        self.slices.extend(other.slices);
        self.pods.extend(other.pods);
        self.nodes.extend(other.nodes);
        self.namespaces.extend(other.namespaces);
        self.peer_authentications.extend(other.peer_authentications);
        self.mesh_configs.extend(other.mesh_configs);
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The objects that the mesh reads, as they stand now.
#[derive(Debug, Default)]
pub struct Stores {
    services: BTreeMap<ObjectRef, Arc<Service>>,
    pods: BTreeMap<ObjectRef, Arc<Pod>>,
    nodes: BTreeMap<ObjectRef, Arc<Node>>,
    namespaces: BTreeMap<ObjectRef, Arc<Namespace>>,
    mesh_configs: BTreeMap<ObjectRef, Arc<MeshConfig>>,
    peer_authentications: BTreeMap<ObjectRef, Arc<PeerAuthentication>>,
    /// By service, then by name of the slice.
    slices: BTreeMap<ObjectRef, BTreeMap<Arc<str>, Arc<EndpointSlice>>>,
    service_of_slice: HashMap<ObjectRef, ObjectRef>,
    touched: Touched,
}

impl Stores {
    /// Writes one change.
    pub fn apply(&mut self, delta: Delta) {
        match delta {
            Delta::Set(object) => {
                let name = object.name();
                match object {
                    Stored::Service(object) => self.set_service(name, Some(object)),
                    Stored::EndpointSlice(object) => self.set_slice(name, Some(object)),
                    Stored::Pod(object) => self.set_pod(name, Some(object)),
                    Stored::Node(object) => self.set_node(name, Some(object)),
                    Stored::Namespace(object) => self.set_namespace(name, Some(object)),
                    Stored::PeerAuthentication(object) => {
                        self.set_peer_authentication(name, Some(object))
                    }
                    Stored::MeshConfig(_, config) => self.set_mesh_config(name, Some(config)),
                }
            }
            Delta::Gone(Kind::Service, name) => self.set_service(name, None),
            Delta::Gone(Kind::EndpointSlice, name) => self.set_slice(name, None),
            Delta::Gone(Kind::Pod, name) => self.set_pod(name, None),
            Delta::Gone(Kind::Node, name) => self.set_node(name, None),
            Delta::Gone(Kind::Namespace, name) => self.set_namespace(name, None),
            Delta::Gone(Kind::PeerAuthentication, name) => self.set_peer_authentication(name, None),
            Delta::Gone(Kind::MeshConfig, name) => self.set_mesh_config(name, None),
        }
    }

    /// What was written since this was last asked.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// A Service.
    pub fn service(&self, name: &ObjectRef) -> Option<&Arc<Service>> {
        self.services.get(name)
    }

    /// A Pod.
    pub fn pod(&self, name: &ObjectRef) -> Option<&Arc<Pod>> {
        self.pods.get(name)
    }

    /// A Node.
    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(&ObjectRef::new("", name))
    }

    /// All namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = (&ObjectRef, &Namespace)> {
        let all = self.namespaces.iter();
        all.map(|(name, object)| (name, object.as_ref()))
    }

    /// All that stands in namespaces, as if it had just been written.
    pub fn everything(&self) -> Touched {
        Touched {
            services: self.services.keys().cloned().collect(),
            slices: self.slices.keys().cloned().collect(),
            pods: self.pods.keys().cloned().collect(),
            peer_authentications: self.peer_authentications.keys().cloned().collect(),
            ..Touched::default()
        }
    }

    /// Settings of the mesh, by their ConfigMap.
    pub fn mesh_config(&self, name: &ObjectRef) -> Option<&Arc<MeshConfig>> {
        self.mesh_configs.get(name)
    }

    /// All policies for peers.
    pub fn peer_authentications(&self) -> impl Iterator<Item = &PeerAuthentication> {
        self.peer_authentications.values().map(Arc::as_ref)
    }

    /// The slices of a service, by name.
    pub fn slices(&self, service: &ObjectRef) -> impl Iterator<Item = &EndpointSlice> {
        self.slices
            .get(service)
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(Arc::as_ref)
    }

    /// The services of a namespace that have slices.
    pub fn services_with_slices(&self, namespace: &str) -> impl Iterator<Item = &ObjectRef> {
        let from = ObjectRef::new(namespace, "");
        self.slices
            .range(from..)
            .map(|(service, _)| service)
            .take_while(move |service| &*service.namespace == namespace)
    }

    /// All pods.
    pub fn pods(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<Pod>)> {
        self.pods.iter()
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = (&ObjectRef, &Arc<Service>)> {
        self.services.iter()
    }

    fn set_service(&mut self, name: ObjectRef, object: Option<Arc<Service>>) {
        put(&mut self.services, &name, object);
        self.touched.services.insert(name);
    }

    fn set_pod(&mut self, name: ObjectRef, object: Option<Arc<Pod>>) {
        put(&mut self.pods, &name, object);
        self.touched.pods.insert(name);
    }

    fn set_node(&mut self, name: ObjectRef, object: Option<Arc<Node>>) {
        put(&mut self.nodes, &name, object);
        self.touched.nodes.insert(name);
    }

    fn set_namespace(&mut self, name: ObjectRef, object: Option<Arc<Namespace>>) {
        put(&mut self.namespaces, &name, object);
        self.touched.namespaces.insert(name);
    }

    fn set_mesh_config(&mut self, name: ObjectRef, object: Option<Arc<MeshConfig>>) {
        put(&mut self.mesh_configs, &name, object);
        self.touched.mesh_configs.insert(name);
    }

    fn set_peer_authentication(
        &mut self,
        name: ObjectRef,
        object: Option<Arc<PeerAuthentication>>,
    ) {
        put(&mut self.peer_authentications, &name, object);
        self.touched.peer_authentications.insert(name);
    }

    /// A slice may change its service, and then both are touched.
    fn set_slice(&mut self, name: ObjectRef, object: Option<Arc<EndpointSlice>>) {
        if let Some(before) = self.service_of_slice.remove(&name) {
            if let Some(slices) = self.slices.get_mut(&before) {
                slices.remove(&name.name);
                if slices.is_empty() {
                    self.slices.remove(&before);
                }
            }
            self.touched.slices.insert(before);
        }
        let Some((service, slice)) = object.and_then(|o| Some((slice_service(&name, &o)?, o)))
        else {
            return;
        };
        self.slices
            .entry(service.clone())
            .or_default()
            .insert(name.name.clone(), slice);
        self.service_of_slice.insert(name, service.clone());
        self.touched.slices.insert(service);
    }
}

/// The service of a slice; `None` for slices that belong to none, and for those of host names instead of addresses.
fn slice_service(name: &ObjectRef, slice: &EndpointSlice) -> Option<ObjectRef> {
    let service = slice.metadata.labels.as_ref()?.get(SLICE_SERVICE_NAME)?;
    (slice.address_type != "FQDN").then(|| ObjectRef::new(name.namespace.clone(), service.as_str()))
}

fn put<T>(store: &mut BTreeMap<ObjectRef, Arc<T>>, name: &ObjectRef, object: Option<Arc<T>>) {
    match object {
        Some(object) => store.insert(name.clone(), object),
        None => store.remove(name),
    };
}
