//! What configuration is put into: the data path, seen from here.

use mesh_model::{
    ClusterName, ListenerName, RouteName, cluster::Cluster, endpoint::ClusterLoadAssignment,
    listener::Listener, name_table::NameTable, route::RouteConfiguration,
};
use mesh_xds::ads::ResourceType;
use std::collections::BTreeSet;

/// Takes configuration and executes it. What is applied may wait for something before it is in force; the old one serves
/// until then.
pub trait Target: Send + Sync + 'static {
    /// Adds or changes a cluster.
    fn apply_cluster(&self, cluster: Cluster);
    /// Removes a cluster.
    fn remove_cluster(&self, name: &ClusterName);
    /// Replaces an endpoint set.
    fn apply_endpoints(&self, endpoints: ClusterLoadAssignment);
    /// Removes an endpoint set.
    fn remove_endpoints(&self, name: &ClusterName);
    /// Adds or changes a listener.
    ///
    /// # Errors
    /// Says why it can't be executed; then the one in force stays.
    fn apply_listener(&self, listener: Listener) -> Result<(), String>;
    /// Removes a listener.
    fn remove_listener(&self, name: &ListenerName);
    /// Adds or changes a route table.
    ///
    /// # Errors
    /// Says why it can't be executed; then the one in force stays.
    fn apply_routes(&self, routes: RouteConfiguration) -> Result<(), String>;
    /// Removes a route table.
    fn remove_routes(&self, name: &RouteName);
    /// Replaces the names of the mesh.
    fn apply_names(&self, names: &NameTable);
    /// Puts in force what waited for something that has come since.
    fn settle(&self);
    /// Names of what waits, of clusters or of listeners.
    fn warming(&self, kind: ResourceType) -> BTreeSet<String>;
}
