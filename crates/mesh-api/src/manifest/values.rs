//! Values that have the right type and still can't be: addresses that are none, ports that no socket has.
//!
//! An API server refuses such objects, so whoever reads them may leave out what does not parse. A file has passed no
//! API server: it is judged here, so that nothing in it is left out in silence.

use std::net::IpAddr;

use super::{Object, Reason};
use crate::k8s::api::core::v1::{Pod, Service};
use crate::k8s::api::discovery::v1::EndpointSlice;

/// Judges the addresses and ports of `object`.
///
/// # Errors
/// The first that can't be, with its path.
pub(super) fn check(object: &Object) -> Result<(), Reason> {
    match object {
        Object::Pod(pod) => check_pod(pod),
        Object::Service(service) => check_service(service),
        Object::EndpointSlice(slice) => check_slice(slice),
        _ => Ok(()),
    }
}

fn check_pod(pod: &Pod) -> Result<(), Reason> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    for (c, container) in containers.enumerate() {
        for (p, port) in container.ports.iter().flatten().enumerate() {
            let path = || format!("spec.containers[{c}].ports[{p}].containerPort");
            check_port(port.container_port, path)?;
        }
    }
    let Some(status) = &pod.status else {
        return Ok(());
    };
    if let Some(address) = &status.pod_ip {
        check_address(address, || "status.podIP".to_owned())?;
    }
    let more = status.pod_ips.iter().flatten();
    more.enumerate()
        .try_for_each(|(i, each)| check_address(&each.ip, || format!("status.podIPs[{i}].ip")))
}

fn check_service(service: &Service) -> Result<(), Reason> {
    let Some(spec) = &service.spec else {
        return Ok(());
    };
    for (i, port) in spec.ports.iter().flatten().enumerate() {
        check_port(port.port, || format!("spec.ports[{i}].port"))?;
    }
    if let Some(address) = &spec.cluster_ip {
        check_cluster_address(address, || "spec.clusterIP".to_owned())?;
    }
    let more = spec.cluster_ips.iter().flatten();
    more.enumerate().try_for_each(|(i, address)| {
        check_cluster_address(address, || format!("spec.clusterIPs[{i}]"))
    })
}

fn check_slice(slice: &EndpointSlice) -> Result<(), Reason> {
    for (i, port) in slice.ports.iter().flatten().enumerate() {
        if let Some(number) = port.port {
            check_port(number, || format!("ports[{i}].port"))?;
        }
    }
    // The third type is names.
    if !matches!(&*slice.address_type, "IPv4" | "IPv6") {
        return Ok(());
    }
    for (e, endpoint) in slice.endpoints.iter().enumerate() {
        for (a, address) in endpoint.addresses.iter().enumerate() {
            check_address(address, || format!("endpoints[{e}].addresses[{a}]"))?;
        }
    }
    Ok(())
}

// A headless Service has `None`, one that waits for its address nothing.
fn check_cluster_address(text: &str, path: impl Fn() -> String) -> Result<(), Reason> {
    match text {
        "" | "None" => Ok(()),
        address => check_address(address, path),
    }
}

fn check_address(text: &str, path: impl Fn() -> String) -> Result<(), Reason> {
    let parsed: Result<IpAddr, _> = text.parse();
    parsed.map(|_| ()).map_err(|_| Reason::Field {
        path: path(),
        message: format!("`{text}` is not an IP address"),
    })
}

fn check_port(number: i32, path: impl Fn() -> String) -> Result<(), Reason> {
    if (1..=65535).contains(&number) {
        return Ok(());
    }
    Err(Reason::Field {
        path: path(),
        message: format!("{number} is not a port (1 to 65535)"),
    })
}
