//! What the mesh cannot use of Services and EndpointSlices, said of each field.
//!
//! An API server refuses most of it; a folder of manifests does not. What runs over UDP or SCTP, and slices of host names, are
//! none of the mesh's business, and no mistakes.

use mesh_api::k8s::{
    api::{
        core::v1::{Service, ServicePort},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::{net::IpAddr, ops::RangeInclusive};

/// Numbers of ports.
const PORTS: RangeInclusive<i32> = 1..=65535;

/// Of a Service.
pub(super) fn unusable_of_service(object: &Service) -> Vec<String> {
    let Some(spec) = &object.spec else {
        return vec!["spec is missing, so that it has no ports".into()];
    };
    let ports = spec.ports.iter().flatten().enumerate();
    let addresses = spec.cluster_ip.iter().map(|ip| ("spec.clusterIP", ip));
    let written = spec.cluster_ips.iter().flatten();
    let addresses = addresses.chain(written.map(|ip| ("spec.clusterIPs", ip)));
    let bad = addresses.filter(|(_, ip)| !matches!(ip.as_str(), "" | "None") && !is_address(ip));
    let bad = bad.map(|(field, ip)| format!("{field}: `{ip}` is no IP address"));
    ports
        .filter_map(|(index, port)| unusable_port(index, port))
        .chain(bad)
        .collect()
}

fn unusable_port(index: usize, port: &ServicePort) -> Option<String> {
    if !matches!(port.protocol.as_deref(), None | Some("TCP")) {
        return None;
    }
    let place = format!("spec.ports[{index}]");
    if !PORTS.contains(&port.port) {
        let number = port.port;
        return Some(format!("{place}.port: {number} is no port (1 to 65535)"));
    }
    match port.target_port {
        // Kubernetes reads 0 as “not set”.
        Some(IntOrString::Int(target)) if target != 0 && !PORTS.contains(&target) => Some(format!(
            "{place}.targetPort: {target} is no port (1 to 65535), so that {place} is left out"
        )),
        _ => None,
    }
}

/// Of an EndpointSlice.
pub(super) fn unusable_of_slice(object: &EndpointSlice) -> Vec<String> {
    if object.address_type == "FQDN" {
        return Vec::new();
    }
    let ports = object.ports.iter().flatten().enumerate();
    let ports = ports.filter_map(|(index, port)| {
        let number = port.port.filter(|number| !PORTS.contains(number))?;
        Some(format!(
            "ports[{index}].port: {number} is no port (1 to 65535)"
        ))
    });
    let endpoints = object.endpoints.iter().enumerate();
    let addresses = endpoints.flat_map(|(index, endpoint)| {
        let bad = endpoint.addresses.iter().filter(|text| !is_address(text));
        bad.map(move |text| format!("endpoints[{index}].addresses: `{text}` is no IP address"))
    });
    ports.chain(addresses).collect()
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_used_of_a_service_is_said_and_nothing_else() {
        let unusable = |spec| {
            let object = json!({"metadata": {"name": "s"}, "spec": spec});
            unusable_of_service(&serde_json::from_value(object).expect("a Service"))
        };
        for fine in [
            json!({"ports": [{"port": 80}, {"port": 65535, "targetPort": 0}, {"port": 1, "targetPort": "web"}]}),
            json!({"ports": [{"port": 70000, "protocol": "UDP"}]}),
            json!({"clusterIP": "None", "clusterIPs": ["None"]}),
            json!({"clusterIP": "", "type": "ExternalName", "externalName": "a.b"}),
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]}),
        ] {
            assert_eq!(unusable(fine.clone()), Vec::<String>::new(), "{fine}");
        }
        for (bad, field) in [
            (
                json!({"ports": [{"port": 80}, {"port": 70000}]}),
                "spec.ports[1].port: 70000",
            ),
            (json!({"ports": [{"port": 0}]}), "spec.ports[0].port: 0"),
            (
                json!({"ports": [{"port": 80, "targetPort": -1}]}),
                "spec.ports[0].targetPort: -1",
            ),
            (json!({"clusterIP": "10.0.0"}), "spec.clusterIP: `10.0.0`"),
            (json!({"clusterIPs": ["x"]}), "spec.clusterIPs: `x`"),
        ] {
            let said = unusable(bad);
            assert!(said.len() == 1 && said[0].starts_with(field), "{said:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_of_a_slice_is_said() {
        let unusable = |kind: &str| {
            let object = json!({"metadata": {"name": "s"}, "addressType": kind,
                "ports": [{"port": 80}, {"port": 70000}], "endpoints": [{"addresses": ["10.0.0.1", "a.b"]}]});
            unusable_of_slice(&serde_json::from_value(object).expect("a slice"))
        };
        let said = unusable("IPv4");
        assert!(said[0].starts_with("ports[1].port: 70000"), "{said:?}");
        assert!(
            said[1].starts_with("endpoints[0].addresses: `a.b`"),
            "{said:?}"
        );
        assert_eq!(unusable("FQDN"), Vec::<String>::new());
    }
}
