//! Which endpoints clients are sent.

use super::*;
use mesh_model::endpoint::Locality;

/// A service with these fields beside its ports, and its endpoints.
fn service(fields: &str, endpoints: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: s, namespace: x}}
spec: {{clusterIP: 10.96.0.9, ports: [{{port: 80, name: http}}], selector: {{app: s}}{fields}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s-1, namespace: x, labels: {{kubernetes.io/service-name: s}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}, {{name: other, port: 9}}, {{name: http, port: 7, protocol: UDP}}]
endpoints:
{endpoints}
"
    )
}

fn pod(name: &str, address: &str, node: &str, labels: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: x, labels: {{app: s{labels}}}}}
spec: {{nodeName: {node}, serviceAccountName: robot, containers: []}}
status: {{podIP: {address}}}
"
    )
}

const CLIENT: &str = "sidecar~10.0.0.200~client.x~x.svc.cluster.local";

fn assignment(world: &World, client: &str) -> ClusterLoadAssignment {
    let name = "outbound|80||s.x.svc.cluster.local".into();
    endpoints(world, &proxy(client, EVERYTHING), &name).expect("a cluster")
}

fn addresses(world: &World, client: &str) -> Vec<String> {
    assignment(world, client)
        .endpoints()
        .map(|e| e.address.to_string())
        .collect()
}

const CONDITIONS: &str = "
- {addresses: [10.0.0.1]}
- {addresses: [10.0.0.2], conditions: {ready: true}}
- {addresses: [10.0.0.3], conditions: {ready: false}}
- {addresses: [10.0.0.4], conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [10.0.0.5], conditions: {ready: false, serving: false, terminating: true}}
";

#[test]
fn what_is_not_ready_is_withheld() {
    let ready = ["10.0.0.1:8080", "10.0.0.2:8080"];
    assert_eq!(addresses(&world(&service("", CONDITIONS)), CLIENT), ready);
}

#[test]
fn what_is_not_ready_is_sent_where_the_service_says_so() {
    let world = world(&service(", publishNotReadyAddresses: true", CONDITIONS));
    assert_eq!(
        addresses(&world, CLIENT),
        ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"]
    );
}

#[test]
fn localities_have_the_weight_of_their_endpoints() {
    let node = "
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1, topology.istio.io/subzone: r7}}
";
    let endpoints = "
- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}
- {addresses: [10.0.0.2], targetRef: {kind: Pod, name: b}}
- {addresses: [10.0.0.3], targetRef: {kind: Pod, name: c}}
- {addresses: [10.0.0.4]}
";
    let text = service("", endpoints)
        + &pod("a", "10.0.0.1", "n1", "")
        + &pod("b", "10.0.0.2", "n1", "")
        + &pod("c", "10.0.0.3", "n1", ", istio-locality: us.us-2")
        + node;
    let localities: Vec<_> = assignment(&world(&text), CLIENT)
        .localities
        .into_iter()
        .map(|l| (l.locality, l.weight, l.priority))
        .collect();
    let at = |region: &str, zone: &str, sub_zone: &str| Locality {
        region: region.into(),
        zone: zone.into(),
        sub_zone: sub_zone.into(),
    };
    let want = [
        (at("", "", ""), Some(1), 0),
        (at("eu", "eu-1", "r7"), Some(2), 0),
        (at("us", "us-2", ""), Some(1), 0),
    ];
    assert_eq!(localities, want);
}

#[test]
fn endpoints_say_whose_they_are_and_whether_they_accept_mutual_tls() {
    let endpoints = "
- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}
- {addresses: [10.0.0.2]}
- {addresses: [10.0.0.3]}
";
    let mesh = ", security.istio.io/tlsMode: istio, version: v2";
    let text = service("", endpoints)
        + &pod("a", "10.0.0.1", "n1", mesh)
        + &pod("b", "10.0.0.2", "n1", "");
    let world = world(&text);
    let all: Vec<_> = assignment(&world, CLIENT)
        .endpoints()
        .map(|e| {
            (
                e.workload.as_deref().map(str::to_owned),
                e.transport_match.clone(),
            )
        })
        .collect();
    let want = [
        (
            Some("a;x;s;v2;Kubernetes".to_owned()),
            vec![("tlsMode".into(), "istio".into())],
        ),
        // Found by its address.
        (Some("b;x;s;latest;Kubernetes".to_owned()), vec![]),
        // No pod.
        (None, vec![]),
    ];
    assert_eq!(all, want);
    let cluster = json(&cluster(
        &world,
        &proxy(CLIENT, EVERYTHING),
        "outbound|80||s.x.svc.cluster.local",
    ));
    let context = "/transportSocketMatches/0/transportSocket/typedConfig/commonTlsContext";
    let names = format!(
        "{context}/combinedValidationContext/defaultValidationContext/matchSubjectAltNames"
    );
    let want = serde_json::json!([{"exact": "spiffe://cluster.local/ns/x/sa/robot"}]);
    assert_eq!(cluster.pointer(&names), Some(&want));
}

#[test]
fn a_service_may_keep_to_the_clients_node() {
    let endpoints = "
- {addresses: [10.0.0.1], nodeName: n1}
- {addresses: [10.0.0.2], nodeName: n2}
";
    let text = service(", internalTrafficPolicy: Local", endpoints)
        + &pod("client", "10.0.0.200", "n2", "");
    let world = world(&text);
    assert_eq!(addresses(&world, CLIENT), ["10.0.0.2:8080"]);
    // Who knows where it is?
    assert_eq!(
        addresses(&world, "sidecar~10.0.0.201~other.x~x.svc.cluster.local"),
        [""; 0]
    );
}

#[test]
fn the_node_is_part_of_the_key_only_where_it_matters() {
    let key = |fields: &str| {
        let world = world(&(service(fields, " []") + &pod("client", "10.0.0.200", "n2", "")));
        let name = "outbound|80||s.x.svc.cluster.local".into();
        Key::endpoints(&world, &proxy(CLIENT, EVERYTHING), &name)
    };
    assert!(matches!(key(""), Key::Endpoints { node: None, .. }));
    let local = key(", internalTrafficPolicy: Local");
    assert!(
        matches!(&local, Key::Endpoints { node: Some(node), .. } if **node == *"n2"),
        "{local:?}"
    );
    assert_eq!(local.endpoints_of(), Some("s.x.svc.cluster.local"));
}

#[test]
fn an_endpoint_in_two_slices_is_one() {
    let slice = "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-0, namespace: x, labels: {kubernetes.io/service-name: s}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: other, port: 9}]
endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]
";
    let text = service("", "- {addresses: [10.0.0.1]}") + slice;
    assert_eq!(addresses(&world(&text), CLIENT), ["10.0.0.1:8080"]);
}

#[test]
fn clients_are_sent_addresses_that_they_can_reach() {
    let slice = "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-6, namespace: x, labels: {kubernetes.io/service-name: s}}
addressType: IPv6
ports: [{name: http, port: 8080}]
endpoints: [{addresses: ['fd00::1'], targetRef: {kind: Pod, name: a}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-n, namespace: x, labels: {kubernetes.io/service-name: s}}
addressType: FQDN
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [example.com]}]
";
    let text = service(
        "",
        "- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}",
    ) + slice
        + &pod("a", "10.0.0.1", "n1", "");
    let world = world(&text);
    assert_eq!(addresses(&world, CLIENT), ["10.0.0.1:8080"]);
    let v6 = "sidecar~fd00::2~client.x~x.svc.cluster.local";
    assert_eq!(addresses(&world, v6), ["[fd00::1]:8080"]);
    let mut dual = proxy(CLIENT, EVERYTHING);
    dual.addresses.push("fd00::2".parse().expect("an address"));
    let name = "outbound|80||s.x.svc.cluster.local".into();
    let sent = endpoints(&world, &dual, &name).expect("a cluster");
    // One pod, one endpoint.
    assert_eq!(sent.endpoints().count(), 1);
}

#[test]
fn there_is_nothing_to_send_for_what_has_no_endpoints_to_discover() {
    let world = world(&service("", CONDITIONS));
    for name in [
        "outbound|81||s.x.svc.cluster.local",
        "outbound|80|v1|s.x.svc.cluster.local",
        "outbound|80||t.x.svc.cluster.local",
        "inbound|80||",
        "PassthroughCluster",
    ] {
        assert_eq!(
            endpoints(&world, &proxy(CLIENT, EVERYTHING), &name.into()),
            None,
            "{name}"
        );
    }
}

#[test]
fn a_service_without_endpoints_has_an_empty_set() {
    let assignment = assignment(&world(&service("", " []")), CLIENT);
    assert_eq!(assignment.localities, []);
}
