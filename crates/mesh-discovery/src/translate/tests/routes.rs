//! Under which host names services are found.

use super::*;

const CLIENT: &str = "sidecar~10.0.0.200~client.x~x.svc.cluster.local";
const ELSEWHERE: &str = "sidecar~10.0.0.201~client.other~other.svc.cluster.local";

fn service(namespace: &str, name: &str, fields: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{fields}}}
"
    )
}

/// The virtual hosts of route `80`, each with its domains.
fn hosts(world: &World, client: &str) -> Vec<(String, Vec<String>)> {
    let route = route(world, &proxy(client, EVERYTHING), &"80".into()).expect("a route");
    route
        .virtual_hosts
        .into_iter()
        .map(|host| (host.name, host.domains))
        .collect()
}

fn domains(world: &World, client: &str, host: &str) -> String {
    let hosts = hosts(world, client);
    hosts
        .into_iter()
        .find(|(name, _)| name == host)
        .expect("a virtual host")
        .1
        .join(" ")
}

#[test]
fn short_names_are_those_that_the_clients_resolver_completes() {
    let text = service(
        "x",
        "a",
        "clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1'], ports: [{port: 80}, {port: 81, name: http}]",
    );
    let world = world(&text);
    let host = "a.x.svc.cluster.local:80";
    assert_eq!(
        domains(&world, CLIENT, host),
        "a.x.svc.cluster.local a.x.svc.cluster.local. a a.x.svc a.x 10.96.0.1 [fd00::1]"
    );
    assert_eq!(
        domains(&world, ELSEWHERE, host),
        "a.x.svc.cluster.local a.x.svc.cluster.local. a.x a.x.svc 10.96.0.1 [fd00::1]"
    );
}

#[test]
fn hosts_are_sorted_and_all_others_come_last() {
    let http = |address: &str| format!("clusterIP: {address}, ports: [{{port: 80, name: http}}]");
    let text = service("x", "zebra", &http("10.96.0.1"))
        + &service("x", "ant", &http("10.96.0.2"))
        + &service(
            "other",
            "sniffed",
            "clusterIP: 10.96.0.3, ports: [{port: 80}]",
        )
        + &service(
            "other",
            "bytes",
            "clusterIP: 10.96.0.4, ports: [{port: 80, name: tcp}]",
        );
    let names: Vec<_> = hosts(&world(&text), CLIENT)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "ant.x.svc.cluster.local:80",
            "sniffed.other.svc.cluster.local:80",
            "zebra.x.svc.cluster.local:80",
            "allow_any",
        ]
    );
}

#[test]
fn a_headless_service_has_names_for_its_pods() {
    let world = world(&service(
        "x",
        "p",
        "clusterIP: None, ports: [{port: 80, name: http}]",
    ));
    assert_eq!(
        domains(&world, ELSEWHERE, "p.x.svc.cluster.local:80"),
        "p.x.svc.cluster.local p.x.svc.cluster.local. p.x p.x.svc \
         *.p.x.svc.cluster.local *.p.x.svc.cluster.local. *.p.x *.p.x.svc"
    );
}

#[test]
fn an_alias_is_another_name_of_its_target() {
    let alias = |name: &str, to: &str| {
        let ports = "ports: [{port: 80, name: http}]";
        service(
            "x",
            name,
            &format!("type: ExternalName, externalName: {to}, {ports}"),
        )
    };
    let text = service(
        "x",
        "cart",
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]",
    ) + &alias("one", "cart.x.svc.cluster.local")
        + &alias("two", "one.x.svc.cluster.local")
        + &alias("circle", "circle.x.svc.cluster.local")
        + &alias("outside", "example.com");
    let world = world(&text);
    assert_eq!(
        domains(&world, ELSEWHERE, "cart.x.svc.cluster.local:80"),
        "cart.x.svc.cluster.local cart.x.svc.cluster.local. cart.x cart.x.svc \
         one.x.svc.cluster.local one.x.svc.cluster.local. one.x one.x.svc \
         two.x.svc.cluster.local two.x.svc.cluster.local. two.x two.x.svc 10.96.0.1"
    );
    assert_eq!(hosts(&world, CLIENT).len(), 2);
}

/// Envoy refuses a configuration that names a domain twice.
#[test]
fn a_name_that_two_services_claim_belongs_to_the_older() {
    let text = service(
        "x",
        "b",
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]",
    ) + &service(
        "x",
        "a",
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]",
    );
    let text = text.replace(
        "name: b,",
        "name: b, creationTimestamp: '2020-01-01T00:00:00Z',",
    );
    let world = world(&text);
    assert!(domains(&world, CLIENT, "b.x.svc.cluster.local:80").ends_with(" 10.96.0.1"));
    assert!(!domains(&world, CLIENT, "a.x.svc.cluster.local:80").contains("10.96.0.1"));
    let all: Vec<_> = hosts(&world, CLIENT)
        .into_iter()
        .flat_map(|(_, domains)| domains)
        .collect();
    let once: BTreeSet<_> = all.iter().collect();
    assert_eq!(all.len(), once.len());
}

#[test]
fn the_clients_namespace_is_part_of_the_key_only_where_it_matters() {
    let world = world(&service(
        "x",
        "a",
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]",
    ));
    let key = |client, name: &str| Key::route(&world, &proxy(client, EVERYTHING), &name.into());
    let third = "sidecar~10.0.0.202~client.z~z.svc.cluster.local";
    assert_ne!(key(CLIENT, "80"), key(ELSEWHERE, "80"));
    assert_eq!(key(third, "80"), key(ELSEWHERE, "80"));
    assert_eq!(key(CLIENT, "81"), key(ELSEWHERE, "81"));
    let own = "a.x.svc.cluster.local:80";
    assert_eq!(key(CLIENT, own), key(ELSEWHERE, own));
}

#[test]
fn there_are_no_routes_of_other_names() {
    let world = world(&service(
        "x",
        "a",
        "clusterIP: 10.96.0.1, ports: [{port: 80}]",
    ));
    let client = proxy(CLIENT, EVERYTHING);
    for name in [
        "",
        "x",
        "99999",
        "a.x.svc.cluster.local:81",
        "b.x.svc.cluster.local:80",
        "a:b:80",
    ] {
        assert_eq!(route(&world, &client, &name.into()), None, "{name}");
    }
    assert!(route(&world, &client, &"a.x.svc.cluster.local:80".into()).is_some());
}
