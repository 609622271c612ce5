//! What a proxy's configuration says about the services of its own pod: which objects shape the way to them, and whether the
//! proxy takes what arrives.

use crate::dump::cluster::Cluster;
use crate::dump::route::RouteConfiguration;
use crate::dump::{ConfigDump, Entry, Error};

/// A proxy's clusters and routes.
#[derive(Debug)]
pub(crate) struct Destinations {
    clusters: Vec<Entry<Cluster>>,
    routes: Vec<Entry<RouteConfiguration>>,
}

impl Destinations {
    /// Those of a config dump.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let dump = ConfigDump::read(text)?;
        Ok(Self {
            clusters: dump.in_use()?,
            routes: dump.in_use()?,
        })
    }

    /// The DestinationRule that shapes the way to a port of a service, as `<name>.<namespace>`.
    pub(crate) fn destination_rule(&self, host: &str, port: i32) -> Option<String> {
        let name = format!("outbound|{port}||{host}");
        let mut clusters = self.clusters.iter();
        let cluster = clusters.find(|cluster| cluster.shape.name == name)?;
        object(cluster.shape.metadata.object())
    }

    /// The VirtualService that routes requests to a port of a service, as `<name>.<namespace>`.
    pub(crate) fn virtual_service(&self, host: &str, port: i32) -> Option<String> {
        let names = [port.to_string(), format!("{host}:{port}")];
        let tables = self
            .routes
            .iter()
            .filter(|table| names.contains(&table.shape.name));
        let hosts = tables.flat_map(|table| &table.shape.virtual_hosts);
        let own = hosts.filter(|own| own.domains.iter().any(|domain| domain == host));
        let mut routes = own.flat_map(|own| &own.routes);
        routes.find_map(|route| object(route.metadata.object()))
    }

    /// Whether what arrives on a port of the pod is handed to the application under the rules of the mesh.
    pub(crate) fn takes(&self, port: i32) -> bool {
        let prefix = format!("inbound|{port}|");
        let mut clusters = self.clusters.iter();
        clusters.any(|cluster| cluster.shape.name.starts_with(&prefix))
    }
}

/// A name that is known.
fn object(name: String) -> Option<String> {
    (name.contains('.')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_configuration_names_what_shaped_it() {
        let dump = include_str!("../../tests/testdata/web.config_dump.json");
        let proxy = Destinations::read(dump).expect("a dump");
        let (cart, web) = ("cart.shop.svc.cluster.local", "web.shop.svc.cluster.local");
        let named = Some("cart.shop".to_owned());
        assert_eq!(proxy.destination_rule(cart, 9080), named);
        assert_eq!(proxy.virtual_service(cart, 9080), named);
        assert_eq!(proxy.destination_rule(web, 80), None);
        assert_eq!(proxy.virtual_service(web, 80), None);
        assert_eq!(proxy.destination_rule(cart, 1), None);
    }

    #[test]
    fn a_server_knows_the_ports_that_it_takes() {
        let dump = include_str!("../../tests/testdata/nginx.config_dump.json");
        let proxy = Destinations::read(dump).expect("a dump");
        assert!(proxy.takes(80));
        assert!(!proxy.takes(8080));
    }
}
