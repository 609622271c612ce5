//! What two objects claim.

use super::*;

/// Services of namespace `x` that select the pod [`POD`], `fields` of the spec behind that.
fn service(name: &str, year: u16, fields: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: x, creationTimestamp: '{year}-01-01T00:00:00Z'}}
spec: {{selector: {{app: web}}, {fields}}}
"
    )
}

const POD: &str = "
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: x, labels: {app: web}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}
status: {podIP: 10.0.0.1}
";

/// Claim, place and reason of each.
fn named(text: &str) -> Vec<(Claim, String, String)> {
    let all = conflicts(&world(text));
    let named = all.iter().map(|c| {
        let problem = c.problem.clone();
        (c.claim, problem.place, problem.reason)
    });
    named.collect()
}

#[test]
fn what_is_usual_is_no_conflict() {
    assert_eq!(named(ARTICLE), []);
    let ports =
        "ports: [{port: 80, name: http, targetPort: web}, {port: 90, name: tcp, targetPort: 9090}]";
    let two = service("a", 2024, &format!("clusterIP: 10.96.0.1, {ports}"))
        + &service("b", 2023, &format!("clusterIP: 10.96.0.2, {ports}"))
        + &service("none", 2023, &format!("clusterIP: None, {ports}"));
    assert_eq!(named(&(two + POD)), []);
}

#[test]
fn the_older_service_has_the_address_and_the_other_is_named() {
    let tcp = "clusterIP: 10.96.0.1, externalIPs: [192.0.2.1], ports: [{port: 5432, name: tcp}]";
    let text = service("old", 2023, tcp) + &service("young", 2024, tcp);
    let found = named(&text);
    let [(Claim::OutboundAddress, place, reason)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(place, "Service x/young");
    assert!(
        reason.contains("10.96.0.1:5432 belongs to Service x/old"),
        "{reason}"
    );
}

#[test]
fn pods_of_two_headless_services_belong_to_the_older() {
    let tcp = "clusterIP: None, ports: [{port: 5432, name: tcp}]";
    let slice = |service: &str| {
        format!(
            "\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {service}, namespace: x, labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: IPv4\nports: [{{name: tcp, port: 5432}}]\nendpoints: [{{addresses: [10.0.0.1]}}, {{addresses: [10.0.0.2]}}]\n"
        )
    };
    let text = service("young", 2024, tcp) + &slice("young") + &service("old", 2023, tcp);
    assert_eq!(named(&text), [], "one has no endpoints");
    let found = named(&(text + &slice("old")));
    assert_eq!(found.len(), 1, "once for all pods: {found:?}");
    assert_eq!(found[0].1, "Service x/young");
}

#[test]
fn http_on_a_port_of_the_sidecar_is_named() {
    let text = service(
        "a",
        2024,
        "clusterIP: 10.96.0.1, ports: [{port: 15021, name: http}]",
    );
    let found = named(&text);
    assert!(
        found.len() == 1 && found[0].0 == Claim::SidecarPort && found[0].2.contains("15021"),
        "{found:?}"
    );
}

#[test]
fn a_port_of_a_pod_speaks_what_the_older_service_says() {
    let old = service(
        "old",
        2023,
        "clusterIP: 10.96.0.1, ports: [{port: 80, name: http, targetPort: 8080}]",
    );
    let young = service(
        "young",
        2024,
        "clusterIP: 10.96.0.2, ports: [{port: 90, name: tcp, targetPort: web}]",
    );
    assert_eq!(named(&(young.clone() + &old)), [], "without pods");
    let found = named(&(young + &old + POD));
    let [(Claim::InboundPort, place, reason)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(place, "Service x/young");
    assert!(
        reason.contains("port 90 is port 8080 of its pods, where Service x/old"),
        "{reason}"
    );
}

#[test]
fn policies_of_one_scope_are_named_and_those_of_others_are_not() {
    let policy = |name: &str, year: u16, spec: &str| {
        format!(
            "\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: {name}, namespace: x, creationTimestamp: '{year}-01-01T00:00:00Z'}}\nspec: {{{spec}}}\n"
        )
    };
    let strict = "mtls: {mode: STRICT}";
    let selecting = |label: &str| format!("selector: {{matchLabels: {{{label}}}}}, {strict}");
    let text = policy("whole", 2024, strict)
        + &policy("web", 2024, &selecting("app: web"))
        + &policy("db", 2025, &selecting("app: db"));
    assert_eq!(named(&(text.clone() + POD)), []);
    let text = text
        + &policy("default", 2023, strict)
        + &policy("pod", 2026, &selecting("app: web, v: '1'"));
    let found = named(&(text.clone() + POD));
    assert_eq!(found.len(), 1, "no pod has both labels: {found:?}");
    assert_eq!(found[0].1, "PeerAuthentication x/whole");
    assert!(
        found[0].2.contains("x/default, which is older"),
        "{found:?}"
    );
    let found = named(&(text + &POD.replace("app: web}", "app: web, v: '1'}")));
    let places: Vec<_> = found.iter().map(|(_, place, _)| place.as_str()).collect();
    assert_eq!(
        places,
        ["PeerAuthentication x/pod", "PeerAuthentication x/whole"]
    );
}
