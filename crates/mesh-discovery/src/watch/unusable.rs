//! What the mesh cannot use of Services and EndpointSlices, said of each field.
//!
//! An API server refuses most of it; a folder of manifests does not. What runs over UDP or SCTP, and slices of host names, are
//! none of the mesh's business, and no mistakes.

use mesh_api::k8s::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use mesh_model::annotation;
use std::{net::IpAddr, ops::RangeInclusive};

/// Annotation of a Service: the namespaces in which it is visible.
const EXPORT_TO: &str = "networking.istio.io/exportTo";
/// Annotation of a Service: which endpoints are preferred.
const TRAFFIC_DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";
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
    let external = spec.external_ips.iter().flatten();
    let addresses = addresses.chain(external.map(|ip| ("spec.externalIPs", ip)));
    let bad = addresses.filter(|(_, ip)| !matches!(ip.as_str(), "" | "None") && !is_address(ip));
    let bad = bad.map(|(field, ip)| format!("{field}: `{ip}` is no IP address"));
    ports
        .filter_map(|(index, port)| unusable_port(index, port))
        .chain(bad)
        .chain(unexecuted(&object.metadata, spec))
        .collect()
}

/// What other meshes execute of a Service, and this version does not.
fn unexecuted(metadata: &ObjectMeta, spec: &ServiceSpec) -> Vec<String> {
    let annotation = |key: &str| {
        let value = metadata.annotations.as_ref()?.get(key)?.as_str();
        Some((format!("metadata.annotations[{key}]"), value))
    };
    let visible = annotation(EXPORT_TO).filter(|(_, to)| !matches!(to.trim(), "" | "*"));
    let visible = visible.map(|(place, to)| {
        format!("{place}: `{to}` is not executed by this version: the service is visible in all namespaces")
    });
    let field = spec.traffic_distribution.as_deref();
    let field = field.map(|value| ("spec.trafficDistribution".to_owned(), value));
    let spread = annotation(TRAFFIC_DISTRIBUTION).into_iter().chain(field);
    let spread = spread.map(|(place, value)| {
        format!(
            "{place}: `{value}` is not executed by this version: near endpoints are not preferred"
        )
    });
    visible.into_iter().chain(spread).collect()
}

/// Of the labels of a Pod or Namespace.
pub(super) fn unusable_of_labels(metadata: &ObjectMeta) -> Vec<String> {
    let key = annotation::TOPOLOGY_NETWORK;
    let network = metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let named = network.filter(|network| !network.is_empty());
    named
        .map(|network| format!("metadata.labels[{key}]: `{network}` is not executed by this version: all pods are on one network"))
        .into_iter()
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
            (json!({"externalIPs": ["y"]}), "spec.externalIPs: `y`"),
            (
                json!({"trafficDistribution": "PreferClose"}),
                "spec.trafficDistribution: `PreferClose`",
            ),
        ] {
            let said = unusable(bad);
            assert!(said.len() == 1 && said[0].starts_with(field), "{said:?}");
        }
    }

    #[test]
    fn annotations_and_labels_that_are_not_executed_are_said() {
        let unusable = |annotations| {
            let object = json!({"metadata": {"name": "s", "annotations": annotations}, "spec": {}});
            unusable_of_service(&serde_json::from_value(object).expect("a Service"))
        };
        assert_eq!(unusable(json!({EXPORT_TO: "*", "a": "b"})), [""; 0]);
        for (key, value) in [
            (EXPORT_TO, ".,other"),
            (TRAFFIC_DISTRIBUTION, "PreferClose"),
        ] {
            let said = unusable(json!({key: value}));
            let place = format!("metadata.annotations[{key}]: `{value}`");
            assert!(said.len() == 1 && said[0].starts_with(&place), "{said:?}");
        }
        let labels = |value: &str| {
            let labels = [(annotation::TOPOLOGY_NETWORK.to_owned(), value.to_owned())];
            let labels = Some(labels.into());
            unusable_of_labels(&ObjectMeta {
                labels,
                ..ObjectMeta::default()
            })
        };
        assert_eq!((labels("").len(), labels("vpc").len()), (0, 1));
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
