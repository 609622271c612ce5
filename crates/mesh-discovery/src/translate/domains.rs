//! Host names under which requests for a service arrive.

use crate::snapshot::{Service, World};
use std::net::IpAddr;

/// All host names and addresses of a service, as a client in `namespace` may write them. Ports play no part: routes
/// ignore them.
pub(super) fn of(world: &World, service: &Service, namespace: Option<&str>) -> Vec<String> {
    let mut domains = names(service, namespace);
    for alias in world.services().aliases(&service.host) {
        domains.extend(names(alias, namespace));
    }
    if service.is_headless() {
        let pods: Vec<_> = names(service, namespace)
            .iter()
            .map(|name| format!("*.{name}"))
            .collect();
        domains.extend(pods);
    }
    domains.extend(service.reached_at().map(|address| host_of(&address)));
    domains
}

/// In full, with the final dot, and every shorter form that a resolver with Kubernetes' search domains completes.
fn names(service: &Service, client: Option<&str>) -> Vec<String> {
    let Service {
        host,
        name,
        namespace,
        ..
    } = service;
    let mut names = vec![host.to_string(), format!("{host}.")];
    if client == Some(&**namespace) {
        names.extend([
            name.to_string(),
            format!("{name}.{namespace}.svc"),
            format!("{name}.{namespace}"),
        ]);
    } else {
        names.extend([
            format!("{name}.{namespace}"),
            format!("{name}.{namespace}.svc"),
        ]);
    }
    names
}

/// An address as it stands in a `Host` header.
fn host_of(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
