//! What reaches a pod.

use super::*;
use mesh_model::{
    cluster::UpstreamHttp,
    listener::{ConnectionMatch, ListenerFilterKind},
    name::VIRTUAL_INBOUND,
};

fn service(name: &str, created: u32, ports: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: x, creationTimestamp: '2024-01-01T00:00:{created:02}Z'}}
spec: {{clusterIP: 10.96.0.{created}, selector: {{app: s}}, ports: [{ports}]}}
"
    )
}

const POD: &str = "
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: x, labels: {app: s, more: m}}
spec:
  containers:
  - {name: c, ports: [{name: web, containerPort: 8080}]}
status: {podIP: 10.0.0.1}
";
const P: &str = "sidecar~10.0.0.1~p.x~x.svc.cluster.local";

/// The chains of a port as `transport protocols → destination`, with `*` where TLS is terminated.
fn chains(world: &World, port: u16) -> Vec<String> {
    let inbound = listener(world, &proxy(P, EVERYTHING), VIRTUAL_INBOUND);
    let of_port = inbound
        .filter_chains
        .iter()
        .filter(|c| c.matches.destination_port == Some(port));
    of_port
        .map(|chain| {
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
        })
        .collect()
}

#[test]
fn both_mutual_tls_and_plaintext_are_taken() {
    let text = service(
        "s",
        1,
        "{name: http, port: 80}, {name: tcp, port: 81}, {name: any, port: 82}",
    ) + POD;
    let world = world(&text);
    let all = "istio,istio-peer-exchange,istio-http/1.0,istio-http/1.1,istio-h2";
    assert_eq!(
        chains(&world, 80),
        [format!("tls* [{all}] http"), "raw_buffer [] http".into()]
    );
    assert_eq!(
        chains(&world, 81),
        [
            format!("tls* [{all}] tcp"),
            "tls [] tcp".into(),
            "raw_buffer [] tcp".into()
        ]
    );
    assert_eq!(
        chains(&world, 82),
        [
            "tls* [istio-http/1.0,istio-http/1.1,istio-h2] http",
            "raw_buffer [http/1.1,h2c] http",
            "tls* [istio-peer-exchange,istio] tcp",
            "raw_buffer [] tcp",
            "tls [] tcp",
        ]
    );
}

#[test]
fn only_ports_of_unknown_protocol_are_looked_into_for_http() {
    let text = service(
        "s",
        1,
        "{name: http, port: 80}, {name: any, port: 82}, {name: tcp, port: 20000}",
    ) + POD;
    let inbound = listener(&world(&text), &proxy(P, EVERYTHING), VIRTUAL_INBOUND);
    let disabled = |kind| {
        let filter = inbound.listener_filters.iter().find(|f| f.kind == kind);
        filter.expect("a filter").disabled.clone()
    };
    let one = |port: u32| ConnectionMatch::DestinationPort(port..port + 1);
    assert_eq!(disabled(ListenerFilterKind::OriginalDst), None);
    assert_eq!(disabled(ListenerFilterKind::TlsInspector), Some(one(15006)));
    assert_eq!(
        disabled(ListenerFilterKind::HttpInspector),
        Some(ConnectionMatch::Or(vec![one(80), one(15006), one(20000)]))
    );
}

#[test]
fn a_port_of_the_pod_belongs_to_the_oldest_service() {
    let text = service("younger", 7, "{name: tcp, port: 1, targetPort: 8080}")
        + &service("older", 3, "{name: http, port: 2, targetPort: 8080}")
        + POD;
    let world = world(&text);
    assert_eq!(chains(&world, 8080).len(), 2, "HTTP");
    let cluster = cluster(&world, &proxy(P, EVERYTHING), "inbound|8080||");
    assert_eq!(cluster.services[0].name, "older");
    assert_eq!(cluster.http_protocol, UpstreamHttp::Http1);
    let inbound = json(&listener(&world, &proxy(P, EVERYTHING), VIRTUAL_INBOUND)).to_string();
    assert!(
        inbound.contains("older.x.svc.cluster.local:2/*") && inbound.contains("inbound|http|2")
    );
    assert!(inbound.contains("inbound_0.0.0.0_8080;") && inbound.contains("\"0.0.0.0_8080\""));
}

#[test]
fn a_named_target_is_the_pods_own_port_of_that_name() {
    let text = service(
        "s",
        1,
        "{name: http, port: 80, targetPort: web}, {name: http2, port: 81, targetPort: gone}",
    ) + POD;
    let world = world(&text);
    assert_eq!(chains(&world, 8080).len(), 2);
    let names = cluster_names(&world, &proxy(P, EVERYTHING));
    let inbound: Vec<_> = names.iter().filter(|n| n.starts_with("inbound|")).collect();
    assert_eq!(inbound, ["inbound|8080||"]);
}

#[test]
fn endpoints_written_by_hand_count_as_well() {
    let text = "
apiVersion: v1
kind: Service
metadata: {name: s, namespace: x}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, targetPort: 1}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-1, namespace: x, labels: {kubernetes.io/service-name: s}}
addressType: IPv4
ports: [{name: http, port: 8081}]
endpoints: [{addresses: [10.0.0.1]}]
";
    assert_eq!(chains(&world(&(text.to_owned() + POD)), 8081).len(), 2);
}

#[test]
fn services_of_other_namespaces_and_of_other_pods_do_not_count() {
    let text = "
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: other}
spec: {clusterIP: 10.96.0.1, selector: {app: s}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: x}
spec: {clusterIP: 10.96.0.2, selector: {app: s, more: other}, ports: [{port: 80}]}
";
    assert_eq!(chains(&world(&(text.to_owned() + POD)), 80), [""; 0]);
}

#[test]
fn an_unknown_pod_is_known_by_what_its_proxy_says() {
    let world = world(&service("s", 1, "{name: http, port: 80}"));
    let mut proxy = proxy(P, EVERYTHING);
    assert!(!cluster_names(&world, &proxy).contains(&"inbound|80||".into()));
    proxy.labels.insert("app".into(), "s".into());
    assert!(cluster_names(&world, &proxy).contains(&"inbound|80||".into()));
}

#[test]
fn pods_of_one_deployment_share_what_they_are_sent() {
    let text = service("s", 1, "{name: http, port: 80}")
        + POD
        + &POD
            .replace("name: p,", "name: q,")
            .replace("10.0.0.1", "10.0.0.2");
    let world = world(&text);
    let q = proxy("sidecar~10.0.0.2~q.x~x.svc.cluster.local", EVERYTHING);
    let p = proxy(P, EVERYTHING);
    assert_eq!(Key::clusters(&world, &p), Key::clusters(&world, &q));
    assert_eq!(Key::listeners(&world, &p), Key::listeners(&world, &q));
}

#[test]
fn pods_with_both_ip_versions_pass_both_through() {
    let text = POD.replace(
        "podIP: 10.0.0.1",
        "podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]",
    );
    let (world, proxy) = (world(&text), proxy(P, EVERYTHING));
    let inbound = listener(&world, &proxy, VIRTUAL_INBOUND);
    assert_eq!(inbound.address.to_string(), "0.0.0.0:15006");
    assert_eq!(inbound.additional_addresses[0].to_string(), "[::]:15006");
    for (cluster, prefix) in [
        ("InboundPassthroughClusterIpv4", "0.0.0.0/0"),
        ("InboundPassthroughClusterIpv6", "::/0"),
    ] {
        let to = inbound
            .chains()
            .filter(|chain| destination(chain) == cluster);
        let prefixes: Vec<_> = to
            .map(|chain| chain.matches.prefix_ranges[0].to_string())
            .collect();
        assert_eq!(prefixes, [prefix; 5], "{cluster}");
        assert!(cluster_names(&world, &proxy).contains(&cluster.into()));
    }
}
