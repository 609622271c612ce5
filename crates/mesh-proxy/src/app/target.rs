//! Configuration, put into the data path.

use crate::{reason::one_line, worker::Shared, xds::Target};
use mesh_model::{
    ClusterName, ListenerName, RouteName, cluster::Cluster, endpoint::ClusterLoadAssignment,
    listener::Listener, name_table::NameTable, route::RouteConfiguration,
};
use mesh_xds::ads::ResourceType;
use std::collections::BTreeSet;

impl Target for Shared {
    fn apply_cluster(&self, cluster: Cluster) {
        self.clusters.apply(cluster, &self.secrets);
    }

    fn remove_cluster(&self, name: &ClusterName) {
        self.clusters.remove(name);
    }

    fn apply_endpoints(&self, endpoints: ClusterLoadAssignment) {
        self.clusters.apply_endpoints(endpoints);
    }

    fn remove_endpoints(&self, name: &ClusterName) {
        self.clusters.remove_endpoints(name);
    }

    fn apply_listener(&self, listener: Listener) -> Result<(), String> {
        let applied = self.listeners.apply(listener, self);
        applied.map(drop).map_err(|error| one_line(&error))
    }

    fn remove_listener(&self, name: &ListenerName) {
        self.listeners.remove(name);
    }

    fn apply_routes(&self, routes: RouteConfiguration) -> Result<(), String> {
        let applied = self.routes.apply(&routes, &self.clusters);
        applied.map_err(|error| one_line(&error))?;
        // A listener may have waited for them.
        self.listeners.settle();
        Ok(())
    }

    fn remove_routes(&self, name: &RouteName) {
        self.routes.remove(name);
    }

    fn apply_names(&self, names: &NameTable) {
        self.dns.names.apply(names);
    }

    fn settle(&self) {
        self.clusters.settle();
        self.listeners.settle();
    }

    fn warming(&self, kind: ResourceType) -> BTreeSet<String> {
        match kind {
            ResourceType::Cluster => self
                .clusters
                .warming()
                .iter()
                .map(|cluster| cluster.name.to_string())
                .collect(),
            ResourceType::Listener => self
                .listeners
                .warming()
                .iter()
                .map(|listener| listener.model.name.to_string())
                .collect(),
            _ => BTreeSet::new(),
        }
    }
}
