//! Received → decoded → in force: one update after the other, additions before removals.

use super::{
    references::{Change, References},
    store::{Received, Refusal, Store},
    target::Target,
};
use mesh_model::{
    cluster::{Cluster, Discovery},
    endpoint::ClusterLoadAssignment,
    filter::NetworkFilter,
    http::RouteSource,
    listener::Listener,
    name_table::NameTable,
    route::RouteConfiguration,
};
use mesh_xds::{
    ads::{self, Refused, ResourceType, Update},
    resource::Resource,
};
use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

/// Puts updates in force.
pub(crate) struct Applier<T> {
    target: Arc<T>,
    store: Arc<Store>,
    endpoints: References,
    routes: References,
}

/// Why a resource was refused.
type Reason = String;

impl<T: Target> Applier<T> {
    pub(crate) fn new(target: Arc<T>, store: Arc<Store>) -> Self {
        Self {
            target,
            store,
            endpoints: References::default(),
            routes: References::default(),
        }
    }

    /// Puts an update in force, and tells what of it is refused.
    pub(crate) fn apply(&mut self, update: &Update) -> Vec<Refused> {
        let kind = update.kind;
        let mut refused = Vec::new();
        let mut accepted = Vec::new();
        for resource in &update.added {
            match self.add(kind, resource) {
                Ok(ignored) => accepted.push((resource, ignored)),
                Err(reason) => refused.push(self.refuse(kind, resource, reason)),
            }
        }
        for name in &update.removed {
            self.remove(kind, name);
        }
        // Routes and endpoints are what listeners and clusters wait for.
        self.target.settle();
        let waiting = self.target.warming(kind);
        for (resource, ignored) in accepted {
            let waits = waiting.contains(&resource.name);
            let received = received(resource, ignored);
            self.store.accept(kind, &resource.name, received, waits);
        }
        self.note_what_waits();
        refused
    }

    /// How what is referred to has changed: endpoint sets by clusters, route tables by listeners. What nothing refers to
    /// any more is dropped.
    pub(super) fn references(&mut self) -> [(ResourceType, Change); 2] {
        let endpoints = self.endpoints.change();
        for name in &endpoints.removed {
            self.remove(ResourceType::Endpoint, name);
        }
        let routes = self.routes.change();
        for name in &routes.removed {
            self.remove(ResourceType::Route, name);
        }
        [
            (ResourceType::Endpoint, endpoints),
            (ResourceType::Route, routes),
        ]
    }

    fn note_what_waits(&mut self) {
        for (kind, references) in [
            (ResourceType::Cluster, &mut self.endpoints),
            (ResourceType::Listener, &mut self.routes),
        ] {
            let waiting = self.target.warming(kind);
            references.settle(&waiting);
            self.store.settled(kind, &waiting);
        }
    }

    /// Puts a resource in force; gives what of it has no effect.
    fn add(&mut self, kind: ResourceType, resource: &ads::Resource) -> Result<Vec<String>, Reason> {
        match kind {
            ResourceType::Cluster => self.add_cluster(resource),
            ResourceType::Endpoint => self.add_endpoints(resource),
            ResourceType::Listener => self.add_listener(resource),
            ResourceType::Route => self.add_routes(resource),
            ResourceType::NameTable => self.add_names(resource),
            _ => Err(format!("{} is not served here", kind.short())),
        }
    }

    fn refuse(&self, kind: ResourceType, resource: &ads::Resource, reason: Reason) -> Refused {
        let refusal = Refusal {
            received: received(resource, Vec::new()),
            reason: reason.clone(),
        };
        self.store.refuse(kind, &resource.name, refusal);
        Refused {
            name: resource.name.clone(),
            reason,
        }
    }

    fn add_cluster(&mut self, resource: &ads::Resource) -> Result<Vec<String>, Reason> {
        let (cluster, ignored) = decode::<Cluster>(resource)?;
        let names = match &cluster.discovery {
            Discovery::Eds(name) => BTreeSet::from([name.to_string()]),
            Discovery::Static(_) | Discovery::Dns(_) | Discovery::OriginalDst => BTreeSet::new(),
        };
        self.endpoints.set(&resource.name, names);
        self.target.apply_cluster(cluster);
        Ok(ignored)
    }

    fn add_endpoints(&self, resource: &ads::Resource) -> Result<Vec<String>, Reason> {
        let (endpoints, ignored) = decode::<ClusterLoadAssignment>(resource)?;
        self.target.apply_endpoints(endpoints);
        Ok(ignored)
    }

    fn add_listener(&mut self, resource: &ads::Resource) -> Result<Vec<String>, Reason> {
        let (listener, ignored) = decode::<Listener>(resource)?;
        let names = route_tables(&listener);
        self.target.apply_listener(listener)?;
        self.routes.set(&resource.name, names);
        Ok(ignored)
    }

    fn add_routes(&self, resource: &ads::Resource) -> Result<Vec<String>, Reason> {
        let (routes, ignored) = decode::<RouteConfiguration>(resource)?;
        self.target.apply_routes(routes)?;
        Ok(ignored)
    }

    fn add_names(&self, resource: &ads::Resource) -> Result<Vec<String>, Reason> {
        let (names, ignored) = decode_value::<NameTable>(resource)?;
        self.target.apply_names(&names);
        Ok(ignored)
    }

    fn remove(&mut self, kind: ResourceType, name: &str) {
        match kind {
            ResourceType::Cluster => {
                self.endpoints.remove(name);
                self.target.remove_cluster(&name.into());
            }
            ResourceType::Endpoint => self.target.remove_endpoints(&name.into()),
            ResourceType::Listener => {
                self.routes.remove(name);
                self.target.remove_listener(&name.into());
            }
            ResourceType::Route => self.target.remove_routes(&name.into()),
            _ => {}
        }
        self.store.remove(kind, name);
    }
}

fn received(resource: &ads::Resource, ignored: Vec<String>) -> Received {
    Received {
        version: resource.version.clone(),
        bytes: resource.bytes.clone(),
        at: SystemTime::now(),
        ignored,
    }
}

/// Tells the store what does not wait any more.
pub(super) fn settle_store(target: &impl Target, store: &Store) {
    for kind in [ResourceType::Cluster, ResourceType::Listener] {
        store.settled(kind, &target.warming(kind));
    }
}

/// The value of a resource, and what of it has no effect.
fn decode<R: Resource>(resource: &ads::Resource) -> Result<(R, Vec<String>), Reason> {
    let (value, ignored) = decode_value::<R>(resource)?;
    if value.name() != resource.name {
        let inside = value.name();
        return Err(format!(
            "name: it is sent as `{}`, and calls itself `{inside}`",
            resource.name
        ));
    }
    Ok((value, ignored))
}

/// The same of a resource that does not know its name.
fn decode_value<R: Resource>(resource: &ads::Resource) -> Result<(R, Vec<String>), Reason> {
    let decoded = R::decode(&resource.bytes).map_err(|invalid| invalid.to_string())?;
    let ignored = decoded.ignored.iter().map(ToString::to_string);
    Ok((decoded.value, ignored.collect()))
}

/// The route tables that a listener asks for.
fn route_tables(listener: &Listener) -> BTreeSet<String> {
    let filters = listener.chains().flat_map(|chain| &chain.filters);
    let names = filters.filter_map(|filter| match filter {
        NetworkFilter::HttpConnectionManager(manager) => match &manager.routes {
            RouteSource::Rds(name) => Some(name.to_string()),
            RouteSource::Inline(_) => None,
        },
        _ => None,
    });
    names.collect()
}
