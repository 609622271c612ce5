//! What a pod sends.

use super::*;
use mesh_model::cluster::{LbPolicy, Transport, UpstreamHttp};

const CLIENT: &str = "sidecar~10.0.0.200~client.x~x.svc.cluster.local";
/// Listeners that every proxy has.
const ALWAYS: [&str; 2] = ["virtualOutbound", "virtualInbound"];

fn client() -> Proxy {
    proxy(CLIENT, EVERYTHING)
}

fn service(name: &str, fields: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: x}}
spec: {{{fields}}}
"
    )
}

/// The listeners, without those that every proxy has.
fn own_listeners(world: &World) -> Vec<String> {
    let names = listener_names(world, &client());
    names
        .into_iter()
        .filter(|name| !ALWAYS.contains(&name.as_str()))
        .collect()
}

#[test]
fn http_shares_a_port_and_others_have_their_addresses() {
    let text = service(
        "a",
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}, {port: 82, name: tcp}]",
    ) + &service(
        "b",
        "clusterIP: 10.96.0.2, ports: [{port: 80, name: http2}, {port: 81}]",
    ) + &service(
        "c",
        "clusterIP: 10.96.0.3, ports: [{port: 80, name: tcp}, {port: 53, protocol: UDP}]",
    );
    let world = world(&text);
    let want = ["0.0.0.0_80", "10.96.0.1_82", "10.96.0.2_81", "10.96.0.3_80"];
    assert_eq!(own_listeners(&world), want);
    for (listener_name, to) in [
        ("0.0.0.0_80", &["Route: 80", "PassthroughCluster"][..]),
        ("10.96.0.1_82", &["outbound|82||a.x.svc.cluster.local"]),
        (
            "10.96.0.2_81",
            &[
                "Route: b.x.svc.cluster.local:81",
                "outbound|81||b.x.svc.cluster.local",
            ],
        ),
        ("10.96.0.3_80", &["outbound|80||c.x.svc.cluster.local"]),
    ] {
        let listener = listener(&world, &client(), listener_name);
        assert_eq!(
            listener.chains().map(destination).collect::<Vec<_>>(),
            to,
            "{listener_name}"
        );
        assert!(!listener.bind_to_port);
    }
    let http = |name: &str| cluster(&world, &client(), name).http_protocol;
    assert_eq!(
        http("outbound|80||a.x.svc.cluster.local"),
        UpstreamHttp::Http1
    );
    assert_eq!(
        http("outbound|80||b.x.svc.cluster.local"),
        UpstreamHttp::Http2
    );
    assert_eq!(
        http("outbound|81||b.x.svc.cluster.local"),
        UpstreamHttp::Downstream
    );
    assert_eq!(
        http("outbound|80||c.x.svc.cluster.local"),
        UpstreamHttp::Http1
    );
}

#[test]
fn an_address_that_two_services_claim_belongs_to_the_older() {
    let text = service(
        "younger",
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: tcp}]",
    ) + &service(
        "older",
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: tcp}]",
    );
    let text = text.replace(
        "name: older,",
        "name: older, creationTimestamp: '2020-01-01T00:00:00Z',",
    );
    let text = text.replace(
        "name: younger,",
        "name: younger, creationTimestamp: '2021-01-01T00:00:00Z',",
    );
    let world = world(&text);
    assert_eq!(own_listeners(&world), ["10.96.0.1_80"]);
    let listener = listener(&world, &client(), "10.96.0.1_80");
    assert_eq!(
        destination(&listener.filter_chains[0]),
        "outbound|80||older.x.svc.cluster.local"
    );
}

#[test]
fn what_is_unknown_goes_nowhere_if_the_mesh_says_so() {
    let text = service("a", "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]")
        + "
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}'}
";
    let world = world(&text);
    for name in ["virtualOutbound", "0.0.0.0_80"] {
        let listener = listener(&world, &client(), name);
        let last = listener.chains().last().expect("a chain");
        assert_eq!(destination(last), "BlackHoleCluster", "{name}");
    }
    let route = route(&world, &client(), &"80".into()).expect("a route");
    let last = route.virtual_hosts.last().expect("a host");
    assert_eq!(
        (&*last.name, forwarded_to(last)),
        ("block_all", "502".into())
    );
}

const HEADLESS: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: x}
spec: {clusterIP: None, selector: {app: s}, ports: [{name: http, port: 9080}, {name: tcp, port: 7946}, {port: 7000}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: peers-1, namespace: x, labels: {kubernetes.io/service-name: peers}}
addressType: IPv4
ports: [{name: http, port: 9080}, {name: tcp, port: 7946}, {name: '', port: 7000}]
endpoints:
- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}
- {addresses: [10.0.0.2], targetRef: {kind: Pod, name: b}, conditions: {ready: false}}
- {addresses: [10.0.0.3], targetRef: {kind: Pod, name: c}, conditions: {ready: false, terminating: true}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: s, security.istio.io/tlsMode: istio}}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x, labels: {app: s, security.istio.io/tlsMode: istio}}
status: {podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: x, labels: {app: s, security.istio.io/tlsMode: istio}}
status: {podIP: 10.0.0.3}
";

#[test]
fn pods_of_a_headless_service_are_reached_one_by_one() {
    let world = world(HEADLESS);
    let want = [
        "0.0.0.0_9080",
        "10.0.0.1_7946",
        "10.0.0.2_7946",
        "10.0.0.1_7000",
        "10.0.0.2_7000",
    ];
    let mut names = own_listeners(&world);
    names.sort();
    let mut want = want.map(str::to_owned);
    want.sort();
    assert_eq!(names, want);
    let sniffed = listener(&world, &client(), "10.0.0.1_7000");
    let to: Vec<_> = sniffed.chains().map(destination).collect();
    assert_eq!(
        to,
        [
            "Route: peers.x.svc.cluster.local:7000",
            "outbound|7000||peers.x.svc.cluster.local"
        ]
    );
    // A pod does not pass a listener on its way to itself.
    let own = proxy("sidecar~10.0.0.1~a.x~x.svc.cluster.local", EVERYTHING);
    assert!(!listener_names(&world, &own).contains(&"10.0.0.1_7946".into()));
    assert!(listener_names(&world, &own).contains(&"10.0.0.2_7946".into()));
}

#[test]
fn a_headless_service_speaks_tls_with_all_its_pods_or_with_none() {
    let name = "outbound|7946||peers.x.svc.cluster.local";
    let all = cluster(&world(HEADLESS), &client(), name);
    assert_eq!(
        (&all.discovery, all.lb_policy),
        (&Discovery::OriginalDst, LbPolicy::ClusterProvided)
    );
    assert!(matches!(all.transport, Transport::Tls(_)) && all.transport_matches.is_empty());
    let one_without = HEADLESS.replacen(", security.istio.io/tlsMode: istio", "", 1);
    let none = cluster(&world(&one_without), &client(), name);
    assert_eq!(none.transport, Transport::RawBuffer);
    let nobody = service("peers", "clusterIP: None, ports: [{name: tcp, port: 7946}]");
    assert_eq!(
        cluster(&world(&nobody), &client(), name).transport,
        Transport::RawBuffer
    );
    assert_eq!(endpoints(&world(HEADLESS), &client(), &name.into()), None);
}

#[test]
fn an_alias_has_nothing_of_its_own() {
    let text = service(
        "cart",
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]",
    ) + &service(
        "alias",
        "type: ExternalName, externalName: CART.x.svc.cluster.local., ports: [{port: 80, name: http}]",
    ) + &service(
        "outside",
        "type: ExternalName, externalName: example.com, ports: [{port: 80, name: http}]",
    );
    let world = world(&text);
    assert_eq!(own_listeners(&world), ["0.0.0.0_80"]);
    let names = cluster_names(&world, &client());
    assert_eq!(names[0], "outbound|80||cart.x.svc.cluster.local");
    assert!(
        !names
            .iter()
            .any(|name| name.contains("alias") || name.contains("outside"))
    );
    assert_eq!(
        endpoints(
            &world,
            &client(),
            &"outbound|80||alias.x.svc.cluster.local".into()
        ),
        None
    );
}

/// A listener at any address would take the traffic of all services of that port.
#[test]
fn a_service_without_an_address_has_no_listener_of_its_own() {
    let world = world(&service(
        "a",
        "ports: [{port: 81}, {port: 82, name: tcp}, {port: 80, name: http}]",
    ));
    assert_eq!(own_listeners(&world), ["0.0.0.0_80"]);
}

#[test]
fn ports_of_the_proxy_itself_are_not_taken() {
    let ports = "{port: 15001, name: http}, {port: 15006, name: http-b}, {port: 15021, name: http-c}, {port: 15090, name: http-d}";
    let world = world(&service(
        "a",
        &format!("clusterIP: 10.96.0.1, ports: [{ports}]"),
    ));
    assert_eq!(own_listeners(&world), [""; 0]);
}

#[test]
fn addresses_follow_the_ip_versions_of_the_client() {
    let text = service(
        "a",
        "clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1'], ports: [{port: 80, name: http}, {port: 81}]",
    );
    let world = world(&text);
    assert_eq!(own_listeners(&world), ["0.0.0.0_80", "10.96.0.1_81"]);
    let v6 = proxy("sidecar~fd00::2~client.x~x.svc.cluster.local", EVERYTHING);
    assert_eq!(
        listener_names(&world, &v6)[..2],
        ["[::]_80", "[fd00::1]_81"]
    );
    let mut dual = client();
    dual.addresses.push("fd00::2".parse().expect("an address"));
    let both = listener(&world, &dual, "10.96.0.1_81");
    assert_eq!(both.additional_addresses[0].to_string(), "[fd00::1]:81");
}

#[test]
fn everything_is_logged_where_the_mesh_asks_for_it() {
    let world = world(ARTICLE);
    let client = proxy(TEST, EVERYTHING);
    for listener in listeners(&world, &client) {
        let logs: Vec<_> = listener
            .access_logs
            .iter()
            .map(|log| (&*log.path, log.only_no_route))
            .collect();
        assert_eq!(logs, [("/dev/stdout", true)], "{}", listener.name);
        for chain in listener
            .chains()
            .filter(|chain| destination(chain) != "BlackHoleCluster")
        {
            let logs = match chain.filters.last() {
                Some(NetworkFilter::HttpConnectionManager(manager)) => &manager.access_logs,
                Some(NetworkFilter::TcpProxy(proxy)) => &proxy.access_logs,
                _ => panic!("{} leads nowhere", chain.name),
            };
            assert_eq!(
                (logs.len(), logs[0].only_no_route),
                (1, false),
                "{}",
                chain.name
            );
        }
    }
}

#[test]
fn proxies_anywhere_share_what_does_not_differ() {
    let world = world(ARTICLE);
    let elsewhere = proxy(
        "sidecar~10.9.9.9~z.other~other.svc.cluster.local",
        EVERYTHING,
    );
    let here = proxy(TEST, EVERYTHING);
    assert_eq!(
        Key::clusters(&world, &here)[0],
        Key::clusters(&world, &elsewhere)[0]
    );
    assert_eq!(
        Key::listeners(&world, &here)[..2],
        Key::listeners(&world, &elsewhere)[..2]
    );
    let name = "outbound|80||nginx.test.svc.cluster.local".into();
    assert_eq!(
        Key::endpoints(&world, &here, &name),
        Key::endpoints(&world, &elsewhere, &name)
    );
}

#[test]
fn a_service_is_reached_at_its_external_addresses_and_its_name_does_not_resolve_to_them() {
    let ports = "ports: [{port: 80, name: http}, {port: 5432, name: tcp}]";
    let world = world(&service(
        "a",
        &format!("clusterIP: 10.96.0.1, externalIPs: [192.0.2.1, 10.96.0.1], {ports}"),
    ));
    assert_eq!(own_listeners(&world), ["0.0.0.0_80", "10.96.0.1_5432"]);
    let bytes = listener(&world, &client(), "10.96.0.1_5432");
    let other = "192.0.2.1:5432".parse().expect("an address");
    assert_eq!(bytes.additional_addresses, [other]);
    let routes = route(&world, &client(), &"80".into()).expect("routes");
    let domains = &routes.virtual_hosts[0].domains;
    assert!(domains.iter().any(|d| *d == "192.0.2.1"), "{domains:?}");
    let names = name_table(&world, &client());
    let name = names.names.get("a.x.svc.cluster.local").expect("a name");
    assert_eq!(
        name.addresses,
        ["10.96.0.1".parse::<std::net::IpAddr>().expect("an address")]
    );
}
