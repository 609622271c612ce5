//! The services that lead to a pod, with the protocol that each port is taken for.

use mesh_api::k8s::api::core::v1::{Pod, Service, ServicePort};
use mesh_api::k8s::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{Labels, holds};
use super::pod;

/// What a name begins with, and the protocol that it means. The control plane reads names in the same way.
const PROTOCOLS: [(&str, &str); 12] = [
    ("grpc-web", "GRPC-Web"),
    ("grpc", "GRPC"),
    ("http", "HTTP"),
    ("http2", "HTTP2"),
    ("http_proxy", "HTTP_PROXY"),
    ("https", "HTTPS"),
    ("mongo", "Mongo"),
    ("mysql", "MySQL"),
    ("redis", "Redis"),
    ("tcp", "TCP"),
    ("tls", "TLS"),
    ("udp", "UDP"),
];
/// Ports that need no name.
const WELL_KNOWN: [i32; 8] = [25, 53, 3306, 27017, 21, 22, 110, 143];

/// A service of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its name.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its TCP ports.
    pub(crate) ports: Vec<Port>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    /// Its name; often empty.
    pub(crate) name: String,
    /// Its number.
    pub(crate) number: i32,
    /// The protocol that it is taken for; `None` if its name says nothing, so that the first bytes decide.
    pub(crate) protocol: Option<&'static str>,
    /// Whether it has a name (or `appProtocol`), which means nothing.
    pub(crate) is_misnamed: bool,
    /// The port of the pod that it leads to, or the name that no port of the pod has.
    pub(crate) target: Result<i32, String>,
}

/// The services among `all` that choose `pod`, by name.
pub(crate) fn of_pod(all: Vec<Service>, pod: &Pod) -> Vec<Facts> {
    let empty = Labels::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
    let chooses = |service: &Service| {
        let selector = service
            .spec
            .as_ref()
            .and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|selector| holds(labels, selector))
    };
    let mut facts: Vec<_> = all
        .iter()
        .filter(|service| chooses(service))
        .map(|service| Facts::of(service, pod))
        .collect();
    facts.sort_by(|a, b| a.name.cmp(&b.name));
    facts
}

impl Facts {
    /// `service` as `pod` sees it.
    pub(crate) fn of(service: &Service, pod: &Pod) -> Self {
        let ports = service
            .spec
            .iter()
            .flat_map(|spec| spec.ports.iter().flatten());
        let ports = ports.filter(|port| matches!(port.protocol.as_deref(), None | Some("TCP")));
        Self {
            name: service.metadata.name.clone().unwrap_or_default(),
            namespace: service.metadata.namespace.clone().unwrap_or_default(),
            ports: ports.map(|port| Port::of(port, pod)).collect(),
        }
    }

    /// The name under which the mesh knows it.
    pub(crate) fn host(&self, domain: &str) -> String {
        format!("{}.{}.svc.{domain}", self.name, self.namespace)
    }
}

impl Port {
    fn of(port: &ServicePort, pod: &Pod) -> Self {
        let app = port.app_protocol.as_deref();
        let name = port.name.clone().unwrap_or_default();
        let word = app.unwrap_or(&name);
        let named = protocol(word);
        let known = WELL_KNOWN.contains(&port.port).then_some("TCP");
        Self {
            number: port.port,
            is_misnamed: !word.is_empty() && named.is_none(),
            protocol: named.or(known),
            target: target(port, pod),
            name,
        }
    }
}

/// The protocol that a port's name, or its `appProtocol`, means.
fn protocol(word: &str) -> Option<&'static str> {
    match word {
        "kubernetes.io/h2c" => return Some("HTTP2"),
        "kubernetes.io/ws" => return Some("HTTP"),
        "kubernetes.io/wss" => return Some("HTTPS"),
        _ => {}
    }
    let word = word.to_ascii_lowercase();
    let first = word.split('-').next().unwrap_or_default();
    let means = |(prefix, _): &&(&str, &str)| match prefix.contains('-') {
        true => word.starts_with(prefix),
        false => first == *prefix,
    };
    PROTOCOLS.iter().find(means).map(|(_, protocol)| *protocol)
}

fn target(port: &ServicePort, pod: &Pod) -> Result<i32, String> {
    let name = match &port.target_port {
        None => return Ok(port.port),
        Some(IntOrString::Int(0)) => return Ok(port.port),
        Some(IntOrString::Int(number)) => return Ok(*number),
        Some(IntOrString::String(name)) => name,
    };
    let mut ports = pod::containers(pod).flat_map(|container| container.ports.iter().flatten());
    let found = ports.find(|port| port.name.as_ref() == Some(name));
    found
        .map(|port| port.container_port)
        .ok_or_else(|| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_protocols() {
        for (word, means) in [
            ("http", Some("HTTP")),
            ("HTTP-web", Some("HTTP")),
            ("http2-x", Some("HTTP2")),
            ("grpc-web", Some("GRPC-Web")),
            ("grpc-web-x", Some("GRPC-Web")),
            ("grpc-api", Some("GRPC")),
            ("https", Some("HTTPS")),
            ("kubernetes.io/h2c", Some("HTTP2")),
            ("httpx", None),
            ("admin", None),
            ("", None),
        ] {
            assert_eq!(protocol(word), means, "{word}");
        }
    }
}
