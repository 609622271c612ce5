//! The next world from the last one and what was touched since.
//!
//! Every part is a pure function of the stores, computed again only where it was touched and compared with what it was:
//! what comes out equal changes nothing. So a world made by deltas equals one made from scratch.

use super::{Change, PeerPolicies, Service, ServiceEndpoints, Services, Workload, World};
use crate::watch::{ObjectRef, Stores, Touched};
use mesh_api::{k8s::api::discovery::v1::Endpoint, security::PeerAuthentication};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

impl World {
    /// The world as the stores have it, of which `touched` was written since this one; and how the two differ.
    pub fn next(&self, stores: &Stores, touched: &Touched) -> (Self, Change) {
        let mut next = Builder {
            world: self.clone(),
            stores,
            change: Change::default(),
        };
        next.mesh(touched);
        let touched = &*next.discover(touched);
        next.peers(touched);
        next.services(touched);
        let pods = next.workloads(touched);
        next.endpoints(touched, &pods);
        (next.world, next.change)
    }
}

struct Builder<'a> {
    world: World,
    stores: &'a Stores,
    change: Change,
}

/// Pods that changed; `None` for those that are gone.
type Pods = BTreeMap<ObjectRef, Option<Arc<Workload>>>;

impl Builder<'_> {
    fn mesh(&mut self, touched: &Touched) {
        let cluster = &self.world.cluster;
        let name = ObjectRef::new(&*cluster.system_namespace, &*cluster.settings);
        if !touched.mesh_configs.contains(&name) {
            return;
        }
        let mesh = self.stores.mesh_config(&name).cloned().unwrap_or_default();
        if mesh != self.world.mesh {
            self.world.mesh = mesh;
            self.change.full = true;
        }
    }

    /// What has to be looked at: all, if other namespaces count than before.
    fn discover<'t>(&mut self, touched: &'t Touched) -> Cow<'t, Touched> {
        if touched.namespaces.is_empty() && touched.mesh_configs.is_empty() {
            return Cow::Borrowed(touched);
        }
        let discovered = self.world.select(self.stores);
        if discovered == self.world.discovered {
            return Cow::Borrowed(touched);
        }
        self.world.discovered = discovered;
        let mut all = self.stores.everything();
        all.merge(touched.clone());
        Cow::Owned(all)
    }

    fn peers(&mut self, touched: &Touched) {
        if touched.peer_authentications.is_empty() {
            return;
        }
        let all = self.stores.peer_authentications();
        let counts = |o: &&PeerAuthentication| {
            self.world
                .discovers(&ObjectRef::namespaced(&o.metadata).namespace)
        };
        let peers = PeerPolicies::new(all.filter(counts));
        if peers != *self.world.peers {
            self.world.peers = Arc::new(peers);
            self.change.full = true;
        }
    }

    fn services(&mut self, touched: &Touched) {
        let changed: BTreeMap<Arc<str>, Option<Arc<Service>>> = touched
            .services
            .iter()
            .map(|name| (self.host(name), self.service(name)))
            .filter(|(host, now)| self.world.services.get(host) != now.as_ref())
            .collect();
        if changed.is_empty() {
            return;
        }
        let kept = self
            .world
            .services
            .iter()
            .filter(|s| !changed.contains_key(&s.host))
            .cloned();
        let all: Vec<_> = kept.chain(changed.values().flatten().cloned()).collect();
        self.world.services = Arc::new(Services::new(all));
        self.change.full = true;
    }

    fn service(&self, name: &ObjectRef) -> Option<Arc<Service>> {
        let counts = self.world.discovers(&name.namespace);
        let object = self.stores.service(name).filter(|_| counts)?;
        Some(Arc::new(Service::from_kubernetes(
            object,
            &self.world.cluster.domain,
        )))
    }

    fn workloads(&mut self, touched: &Touched) -> Pods {
        let of_nodes = self.world.workloads.iter().filter(|w| {
            let node = w.node.clone().map(|node| ObjectRef::new("", node));
            node.is_some_and(|node| touched.nodes.contains(&node))
        });
        let of_nodes = of_nodes.map(|w| ObjectRef::new(w.namespace.clone(), w.name.clone()));
        let names: BTreeSet<ObjectRef> = of_nodes.chain(touched.pods.iter().cloned()).collect();
        let changed: Pods = names
            .into_iter()
            .map(|name| (self.workload(&name), name))
            .filter(|(now, name)| {
                self.world.workloads.get(&name.namespace, &name.name) != now.as_ref()
            })
            .map(|(now, name)| (name, now))
            .collect();
        if !changed.is_empty() {
            self.world.workloads = Arc::new(self.world.workloads.with(&changed));
            self.change.workloads.extend(changed.keys().cloned());
        }
        changed
    }

    fn workload(&self, name: &ObjectRef) -> Option<Arc<Workload>> {
        let counts = self.world.discovers(&name.namespace);
        let pod = self.stores.pod(name).filter(|_| counts)?;
        let node = pod
            .spec
            .as_ref()
            .and_then(|s| self.stores.node(s.node_name.as_deref()?));
        Workload::from_kubernetes(pod, node.map(|n| &**n)).map(Arc::new)
    }

    /// A pod's endpoints all stand in its own namespace.
    fn endpoints(&mut self, touched: &Touched, pods: &Pods) {
        let namespaces: BTreeSet<&str> = pods.keys().map(|pod| &*pod.namespace).collect();
        let beside_pods = namespaces
            .iter()
            .flat_map(|namespace| self.stores.services_with_slices(namespace));
        let services: BTreeSet<&ObjectRef> = beside_pods.chain(&touched.slices).collect();
        let changed: Vec<(Arc<str>, ServiceEndpoints)> = services
            .into_iter()
            .map(|service| (self.host(service), self.service_endpoints(service)))
            .filter(|(host, now)| self.world.endpoints(host) != now)
            .collect();
        if changed.is_empty() {
            return;
        }
        let mut all = (*self.world.endpoints).clone();
        for (host, now) in changed {
            self.note(&host, &now);
            if now == ServiceEndpoints::NONE {
                all.remove(&host);
            } else {
                all.insert(host, Arc::new(now));
            }
        }
        self.world.endpoints = Arc::new(all);
    }

    fn service_endpoints(&self, service: &ObjectRef) -> ServiceEndpoints {
        let namespace = &service.namespace;
        if !self.world.discovers(namespace) {
            return ServiceEndpoints::NONE;
        }
        let by_address = |address: IpAddr| self.world.workloads.at(namespace, address);
        ServiceEndpoints::from_slices(
            self.stores.slices(service),
            |endpoint: &Endpoint, address| {
                let target = endpoint
                    .target_ref
                    .as_ref()
                    .filter(|t| t.kind.as_deref() == Some("Pod"));
                let named =
                    target.and_then(|t| self.world.workloads.get(namespace, t.name.as_deref()?));
                named.or_else(|| by_address(address)).cloned()
            },
        )
    }

    /// Notes what a service's new endpoints mean to proxies.
    fn note(&mut self, host: &Arc<str>, now: &ServiceEndpoints) {
        let Some(service) = self.world.services.get(host) else {
            return; // nobody can see them
        };
        let before = self.world.endpoints(host);
        if before.service_accounts() != now.service_accounts() {
            self.change.full = true; // clusters name the accounts that they trust
        }
        if service.is_headless() {
            self.change.full = true; // clients have a listener for each, and one decision on TLS for all
        } else {
            self.change.endpoints.insert(host.clone());
        }
        if service.selector.is_empty() {
            let pods = before
                .iter()
                .chain(now.iter())
                .filter_map(|e| e.workload.as_ref());
            self.change
                .workloads
                .extend(pods.map(|w| ObjectRef::new(w.namespace.clone(), w.name.clone())));
        }
    }

    fn host(&self, service: &ObjectRef) -> Arc<str> {
        let ObjectRef { namespace, name } = service;
        format!("{name}.{namespace}.svc.{}", self.world.cluster.domain).into()
    }
}
