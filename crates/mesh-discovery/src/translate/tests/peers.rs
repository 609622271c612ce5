//! What policies for peers (`PeerAuthentication`) make of both sides: what reaches a pod, and how it is called.

use super::*;
use mesh_model::{
    cluster::Transport,
    listener::{ConnectionMatch, ListenerFilterKind},
    name::VIRTUAL_INBOUND,
};

const WORLD: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: x}
spec: {clusterIP: 10.96.0.1, selector: {app: s}, ports: [{name: http, port: 80}, {name: tcp, port: 81}, {name: any, port: 82}]}
---
apiVersion: v1
kind: Service
metadata: {name: h, namespace: x}
spec: {clusterIP: None, selector: {app: s}, ports: [{name: tcp-h, port: 83}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: x, labels: {app: s, security.istio.io/tlsMode: istio}}
spec: {containers: []}
status: {podIP: 10.0.0.1}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-1, namespace: x, labels: {kubernetes.io/service-name: s}}
addressType: IPv4
ports: [{name: http, port: 80}, {name: tcp, port: 81}, {name: any, port: 82}]
endpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: p, namespace: x}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: h-1, namespace: x, labels: {kubernetes.io/service-name: h}}
addressType: IPv4
ports: [{name: tcp-h, port: 83}]
endpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: p, namespace: x}}]
";
const P: &str = "sidecar~10.0.0.1~p.x~x.svc.cluster.local";
const CLIENT: &str = "sidecar~10.0.0.9~c.y~y.svc.cluster.local";

fn policy(namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: policy, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

fn with(namespace: &str, spec: &str) -> World {
    world(&(WORLD.to_owned() + &policy(namespace, spec)))
}

/// The chains of a port (0: of ports that nobody declares) as `transport [protocols] kind`, `*` where TLS is ended.
fn chains(world: &World, port: u16) -> Vec<String> {
    let inbound = listener(world, &proxy(P, EVERYTHING), VIRTUAL_INBOUND);
    let wanted = (port > 0).then_some(port);
    let of_port = inbound
        .filter_chains
        .iter()
        .filter(|c| c.matches.destination_port == wanted);
    let show = |chain: &FilterChain| {
        let transport = chain
            .matches
            .transport_protocol
            .map_or("any", |t| t.as_str());
        let ended = if chain.tls.is_some() { "*" } else { "" };
        let http = matches!(
            chain.filters.last(),
            Some(NetworkFilter::HttpConnectionManager(_))
        );
        let protocols = chain.matches.application_protocols.join(",");
        format!(
            "{transport}{ended} [{protocols}] {}",
            if http { "http" } else { "tcp" }
        )
    };
    of_port.map(show).collect()
}

/// Whether the endpoint of a service's port is called over mutual TLS.
fn is_called_by_mtls(world: &World, port: u16) -> bool {
    let client = proxy(CLIENT, EVERYTHING);
    let name = format!("outbound|{port}||s.x.svc.cluster.local");
    let cluster = cluster(world, &client, &name);
    let assignment = endpoints(world, &client, &cluster.name).expect("endpoints");
    let labels = &assignment.localities[0].endpoints[0].transport_match;
    let of_endpoint = labels
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect::<Vec<_>>();
    let matched = cluster
        .transport_matches
        .iter()
        .find(|m| m.labels.iter().all(|label| of_endpoint.contains(label)));
    let transport = matched.map_or(&cluster.transport, |m| &m.transport);
    matches!(transport, Transport::Tls(_))
}

const MESH_HTTP: &str = "tls* [istio-http/1.0,istio-http/1.1,istio-h2] http";

#[test]
fn strict_takes_mutual_tls_only_on_every_port() {
    let world = with("istio-system", "{mtls: {mode: STRICT}}");
    assert_eq!(chains(&world, 80), ["tls* [] http"]);
    assert_eq!(chains(&world, 81), ["tls* [] tcp"]);
    assert_eq!(chains(&world, 82), [MESH_HTTP, "tls* [] tcp"]);
    assert_eq!(chains(&world, 0), [MESH_HTTP, "tls* [] tcp"]);
    assert!(is_called_by_mtls(&world, 80));
}

#[test]
fn disable_takes_and_sends_plaintext_and_does_not_look_for_tls() {
    let world = with("x", "{mtls: {mode: DISABLE}}");
    assert_eq!(chains(&world, 80), ["raw_buffer [] http"]);
    assert_eq!(chains(&world, 81), ["raw_buffer [] tcp"]);
    let auto = ["raw_buffer [http/1.1,h2c] http", "raw_buffer [] tcp"];
    assert_eq!(chains(&world, 82), auto);
    assert_eq!(chains(&world, 0), [auto[0], auto[1], "tls [] tcp"]);
    assert!(!is_called_by_mtls(&world, 80));
    let name = "outbound|80||s.x.svc.cluster.local";
    assert!(
        cluster(&world, &proxy(CLIENT, EVERYTHING), name)
            .transport_matches
            .is_empty()
    );
    let inbound = listener(&world, &proxy(P, EVERYTHING), VIRTUAL_INBOUND);
    let inspector = inbound
        .listener_filters
        .iter()
        .find(|f| f.kind == ListenerFilterKind::TlsInspector);
    let one = |port: u32| ConnectionMatch::DestinationPort(port..port + 1);
    let off = ConnectionMatch::Or([80, 81, 82, 83, 15006].map(one).into());
    assert_eq!(inspector.expect("a filter").disabled, Some(off));
}

#[test]
fn a_workload_and_its_ports_may_differ() {
    let spec = "{selector: {matchLabels: {app: s}}, mtls: {mode: STRICT}, portLevelMtls: {81: {mode: DISABLE}, 9000: {mode: DISABLE}}}";
    let world = with("x", spec);
    assert_eq!(chains(&world, 80), ["tls* [] http"]);
    assert_eq!(chains(&world, 81), ["raw_buffer [] tcp"]);
    let undeclared = [
        "raw_buffer [http/1.1,h2c] http",
        "raw_buffer [] tcp",
        "tls [] tcp",
    ];
    assert_eq!(chains(&world, 9000), undeclared);
    assert_eq!(chains(&world, 0), [MESH_HTTP, "tls* [] tcp"]);
    assert!(is_called_by_mtls(&world, 80) && !is_called_by_mtls(&world, 81));
    let others = with("x", &spec.replace("app: s", "app: other"));
    assert_eq!(chains(&others, 80), chains(&super::world(WORLD), 80));
}

#[test]
fn a_workload_that_takes_mutual_tls_is_called_so_in_a_namespace_that_does_not() {
    let off = policy("x", "{mtls: {mode: DISABLE}}");
    let on = policy(
        "x",
        "{selector: {matchLabels: {app: s}}, mtls: {mode: STRICT}}",
    )
    .replace("name: policy", "name: web");
    let world = world(&(WORLD.to_owned() + &off + &on));
    assert!(is_called_by_mtls(&world, 80));
}

#[test]
fn headless_endpoints_are_called_as_they_all_take_it() {
    let transport = |world: &World| {
        let client = proxy(CLIENT, EVERYTHING);
        cluster(world, &client, "outbound|83||h.x.svc.cluster.local").transport
    };
    assert!(matches!(transport(&world(WORLD)), Transport::Tls(_)));
    let one_port = "{selector: {matchLabels: {app: s}}, portLevelMtls: {83: {mode: DISABLE}}}";
    assert!(matches!(
        transport(&with("x", one_port)),
        Transport::RawBuffer
    ));
}
