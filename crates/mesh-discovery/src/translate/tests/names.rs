//! What a sidecar's DNS server is told.

use super::*;

const CLIENT: &str = "sidecar~10.0.0.200~client.x~x.svc.cluster.local";

/// Names with their addresses, and the short name with its namespace.
fn names(world: &World, addresses: &[&str]) -> Vec<(String, Vec<String>, String)> {
    let mut proxy = proxy(CLIENT, EVERYTHING);
    proxy.addresses = addresses
        .iter()
        .map(|a| a.parse().expect("an address"))
        .collect();
    let table = name_table(world, &proxy);
    let names = table.names.into_iter().map(|(name, info)| {
        let addresses = info.addresses.iter().map(ToString::to_string).collect();
        let service = info.service.expect("a Service");
        (
            name.to_string(),
            addresses,
            format!("{}/{}", service.namespace, service.name),
        )
    });
    names.collect()
}

fn own(host: &str, addresses: &[&str], service: &str) -> (String, Vec<String>, String) {
    let addresses = addresses.iter().map(|a| (*a).to_owned()).collect();
    (host.into(), addresses, service.into())
}

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: dual, namespace: z}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1'], ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: udp, namespace: z}
spec: {clusterIP: 10.96.0.2, ports: [{port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: pending, namespace: z}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: z}
spec: {type: ExternalName, externalName: dual.z.svc.cluster.local}
";

#[test]
fn services_have_their_addresses_of_the_pods_ip_versions() {
    let world = world(SERVICES);
    let udp = own("udp.z.svc.cluster.local", &["10.96.0.2"], "z/udp");
    let dual = |addresses| own("dual.z.svc.cluster.local", addresses, "z/dual");
    assert_eq!(
        names(&world, &["10.0.0.200"]),
        [dual(&["10.96.0.1"]), udp.clone()]
    );
    assert_eq!(names(&world, &["fd00::200"]), [dual(&["fd00::1"])]);
    assert_eq!(
        names(&world, &["10.0.0.200", "fd00::200"]),
        [dual(&["10.96.0.1", "fd00::1"]), udp]
    );
}

/// A headless service with these endpoints.
fn headless(fields: &str, endpoints: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: db, namespace: z}}
spec: {{clusterIP: None, ports: [{{port: 80, name: a}}, {{port: 81, name: b}}], selector: {{app: db}}{fields}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: db-1, namespace: z, labels: {{kubernetes.io/service-name: db}}}}
addressType: IPv4
ports: [{{name: a, port: 8080}}]
endpoints:
{endpoints}
"
    )
}

const PODS: &str = "
- {addresses: [10.0.0.1], hostname: db-0}
- {addresses: [10.0.0.2], hostname: db-1, conditions: {ready: false}}
- {addresses: [10.0.0.3], hostname: db-2, conditions: {ready: false, terminating: true}}
- {addresses: [10.0.0.4]}
";

#[test]
fn pods_of_headless_services_have_names_of_their_own() {
    let (all, first) = ("db.z.svc.cluster.local", "db-0.db.z.svc.cluster.local");
    let first = own(first, &["10.0.0.1"], "z/db-0.db");
    let ready = world(&headless("", PODS));
    assert_eq!(
        names(&ready, &["10.0.0.200"]),
        [first.clone(), own(all, &["10.0.0.1", "10.0.0.4"], "z/db")]
    );
    let published = world(&headless(", publishNotReadyAddresses: true", PODS));
    assert_eq!(
        names(&published, &["10.0.0.200"]),
        [
            first,
            own("db-1.db.z.svc.cluster.local", &["10.0.0.2"], "z/db-1.db"),
            own(all, &["10.0.0.1", "10.0.0.2", "10.0.0.4"], "z/db"),
        ]
    );
    assert_eq!(names(&ready, &["fd00::200"]), [], "none that it can reach");
    assert_eq!(names(&world(&headless("", "")), &["10.0.0.200"]), []);
}
