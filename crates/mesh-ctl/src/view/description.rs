//! The text of `describe`, in istioctl's layout.

use mesh_api::security::MtlsMode;

use crate::inspect::destination::Destinations;
use crate::inspect::{peers, pod, service};

const RULE: &str = "--------------------\n";
const REQUIREMENTS: &str = "https://istio.io/latest/docs/ops/deployment/application-requirements/";

/// How objects are called: without the namespace where it is the one that everything is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// That namespace.
    pub(crate) namespace: &'a str,
}

/// What a proxy has been told.
#[derive(Debug)]
pub(crate) struct Told {
    /// Where it sends what.
    pub(crate) destinations: Destinations,
    /// DNS domain of the cluster, which hosts end with.
    pub(crate) domain: String,
}

impl Names<'_> {
    /// An object's name.
    pub(crate) fn of(&self, name: &str, namespace: &str) -> String {
        match namespace == self.namespace {
            true => name.to_owned(),
            false => format!("{name}.{namespace}"),
        }
    }

    fn short(&self, full: &str) -> String {
        let (name, namespace) = full.rsplit_once('.').unwrap_or((full, self.namespace));
        self.of(name, namespace)
    }
}

/// The pod `name`.
pub(crate) fn pod(facts: &pod::Facts, name: &str, ignore_unmeshed: bool) -> String {
    let mut text = format!("Pod: {name}\n   Pod Revision: {}\n", facts.revision);
    text += &match &facts.ports[..] {
        [] => "   Pod does not expose ports\n".to_owned(),
        ports => format!("   Pod Ports: {}\n", ports.join(", ")),
    };
    if facts.is_proxys_user {
        text += "WARNING: User ID (UID) 1337 is reserved for the sidecar proxy.\n";
    }
    if facts.phase != "Running" {
        text += &format!("   Pod is not Running ({})\n", facts.phase);
        return text;
    }
    for container in &facts.unready {
        text += &format!("WARNING: Pod {name} Container {container} NOT READY\n");
    }
    for container in &facts.unready_init {
        text += &format!("WARNING: Pod {name} Init Container {container} NOT READY\n");
    }
    if ignore_unmeshed {
        return text;
    }
    if !facts.is_meshed {
        text += &format!("WARNING: {name} is not part of mesh; no Istio sidecar\n");
        return text;
    }
    for (has, what) in [(facts.has_name, "name"), (facts.has_version, "revision")] {
        if !has {
            text += &format!(
                "Suggestion: add required service {what} label for Istio telemetry. See {REQUIREMENTS}.\n"
            );
        }
    }
    text
}

/// The services of a pod; `proxy` if it could be asked.
pub(crate) fn services(
    services: &[service::Facts],
    proxy: Option<&Told>,
    names: Names<'_>,
) -> String {
    let texts: Vec<_> = services
        .iter()
        .map(|one| service(one, proxy, names))
        .collect();
    texts.join(RULE)
}

fn service(service: &service::Facts, proxy: Option<&Told>, names: Names<'_>) -> String {
    let mut text = format!("Service: {}\n", names.of(&service.name, &service.namespace));
    for port in &service.ports {
        text += &line(port);
    }
    for port in service.ports.iter().filter(|port| port.is_misnamed) {
        text += &format!(
            "Suggestion: port name {:?} does not say its protocol, so the first bytes decide; begin it with http-, grpc- or tcp-, or set appProtocol\n",
            port.name
        );
    }
    let Some(Told {
        destinations: proxy,
        domain,
    }) = proxy
    else {
        return text;
    };
    let host = service.host(domain);
    for port in &service.ports {
        let mut of_port = String::new();
        if let Some(rule) = proxy.destination_rule(&host, port.number) {
            of_port += &format!("DestinationRule: {} for {host:?}\n", names.short(&rule));
        }
        if let Some(virtual_service) = proxy.virtual_service(&host, port.number) {
            of_port += &format!("VirtualService: {}\n", names.short(&virtual_service));
        }
        if let Ok(target) = port.target
            && !proxy.takes(target)
        {
            of_port += &format!(
                "WARNING: the proxy does not know pod port {target}; what arrives there has no route, telemetry or policy of its own\n"
            );
        }
        if service.ports.len() > 1 && !of_port.is_empty() {
            text += &format!("{}:\n", port.number);
            of_port = of_port.lines().map(|line| format!("   {line}\n")).collect();
        }
        text += &of_port;
    }
    text
}

fn line(port: &service::Port) -> String {
    let protocol = port.protocol.unwrap_or("auto-detect");
    let (name, number) = (&port.name, port.number);
    match &port.target {
        Ok(target) => format!("   Port: {name} {number}/{protocol} targets pod port {target}\n"),
        Err(missing) => format!(
            "   Port: {name} {number}/{protocol} targets pod port {missing:?}, which no container has\n"
        ),
    }
}

/// Who may call the pod, and how.
pub(crate) fn peers(effective: &peers::Effective) -> String {
    let mode = |mode: &MtlsMode| match mode {
        MtlsMode::Unset => "UNSET",
        MtlsMode::Disable => "DISABLE",
        MtlsMode::Permissive => "PERMISSIVE",
        MtlsMode::Strict => "STRICT",
    };
    let mut text = "Effective PeerAuthentication:\n".to_owned();
    text += &format!("   Workload mTLS mode: {}\n", mode(&effective.mode));
    if !effective.ports.is_empty() {
        text += "   Port Level mTLS mode:\n";
    }
    for (port, of_port) in &effective.ports {
        text += &format!("      {port}: {}\n", mode(of_port));
    }
    if !effective.applied.is_empty() {
        text += &format!(
            "Applied PeerAuthentication:\n   {}\n",
            effective.applied.join(", ")
        );
    }
    text
}

/// Parts of a description, one below the other.
pub(crate) fn joined(parts: &[String]) -> String {
    parts.join(RULE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::service::{Facts, Port};

    #[test]
    fn what_the_proxy_does_stands_below_the_port_that_it_is_for() {
        let dump = include_str!("../../tests/testdata/web.config_dump.json");
        let told = |dump: &str, domain: &str| Told {
            destinations: Destinations::read(dump).expect("a dump"),
            domain: domain.into(),
        };
        let proxy = told(dump, "cluster.local");
        let port = |number, target| Port {
            name: "http".into(),
            number,
            protocol: Some("HTTP"),
            is_misnamed: false,
            target: Ok(target),
        };
        let cart = |ports: Vec<Port>| Facts {
            name: "cart".into(),
            namespace: "shop".into(),
            ports,
        };
        let names = Names { namespace: "other" };
        let unknown = |port| {
            format!(
                "WARNING: the proxy does not know pod port {port}; what arrives there has no route, telemetry or policy of its own\n"
            )
        };
        let objects = "DestinationRule: cart.shop for \"cart.shop.svc.cluster.local\"\nVirtualService: cart.shop\n";
        let head = "Service: cart.shop\n   Port: http 9080/HTTP targets pod port 1\n";
        assert_eq!(
            services(&[cart(vec![port(9080, 1)])], Some(&proxy), names),
            format!("{head}{objects}{}", unknown(1))
        );
        // Another cluster's services end otherwise.
        let elsewhere = told(
            &dump.replace("cluster.local", "mesh.example"),
            "mesh.example",
        );
        assert_eq!(
            services(&[cart(vec![port(9080, 1)])], Some(&elsewhere), names),
            format!("{head}{objects}{}", unknown(1)).replace("cluster.local", "mesh.example")
        );
        let two = services(
            &[cart(vec![port(9080, 1), port(1, 1)])],
            Some(&proxy),
            names,
        );
        let indented = |text: &str| {
            text.lines()
                .map(|line| format!("   {line}\n"))
                .collect::<String>()
        };
        let below = format!(
            "9080:\n{}{}1:\n{}",
            indented(objects),
            indented(&unknown(1)),
            indented(&unknown(1))
        );
        assert!(two.ends_with(&below), "{two}");
    }
}
