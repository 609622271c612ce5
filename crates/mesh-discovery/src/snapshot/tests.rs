//! What a change means to proxies.

use super::*;
use crate::watch::{Delta, Kind, ObjectRef, Stores, Use};

const HOST: &str = "s.x.svc.cluster.local";

/// A cluster that changes.
struct Living {
    stores: Stores,
    world: World,
}

impl Living {
    fn new(manifests: &str) -> Self {
        let mut living = Self {
            stores: Stores::default(),
            world: World::empty(ClusterIdentity::default()),
        };
        living.apply(manifests);
        living
    }

    fn apply(&mut self, manifests: &str) -> Change {
        for parsed in mesh_api::manifest::parse(manifests).expect("valid manifests") {
            if let Use::Read { object, .. } = Use::of(parsed.object).expect("valid settings") {
                self.stores.apply(Delta::Set(object));
            }
        }
        self.next()
    }

    fn remove(&mut self, kind: Kind, namespace: &str, name: &str) -> Change {
        let name = ObjectRef::new(namespace, name);
        self.stores.apply(Delta::Gone(kind, name));
        self.next()
    }

    fn next(&mut self) -> Change {
        let touched = self.stores.take_touched();
        let (world, change) = self.world.next(&self.stores, &touched);
        self.world = world;
        change
    }
}

fn service(fields: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: x}}, spec: {{{fields}}}}}\n---\n"
    )
}

const PLAIN: &str = "clusterIP: 10.96.0.1, selector: {app: s}, ports: [{port: 80}]";

fn slice(endpoints: &str) -> String {
    format!(
        "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s-1, namespace: x, labels: {{kubernetes.io/service-name: s}}}}
addressType: IPv4
ports: [{{name: '', port: 80}}]
endpoints: [{endpoints}]
---
"
    )
}

fn pod(name: &str, address: &str, account: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: x, labels: {{app: s}}}}
spec: {{serviceAccountName: {account}, containers: []}}
status: {{podIP: {address}}}
---
"
    )
}

fn only_endpoints() -> Change {
    Change {
        endpoints: [HOST.into()].into(),
        ..Change::default()
    }
}

#[test]
fn a_new_address_is_a_matter_of_endpoints_alone() {
    let mut living = Living::new(&(service(PLAIN) + &slice("{addresses: [10.0.0.1]}")));
    let more = slice("{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}");
    assert_eq!(living.apply(&more), only_endpoints());
    assert_eq!(living.apply(&more), Change::default());
    assert_eq!(
        living.apply(&slice(
            "{addresses: [10.0.0.2], conditions: {ready: false}}"
        )),
        only_endpoints()
    );
    assert_eq!(
        living.remove(Kind::EndpointSlice, "x", "s-1"),
        only_endpoints()
    );
}

/// After a time without an API server Kubernetes declares whole nodes, and all their pods, not ready.
#[test]
fn pods_of_nodes_that_nobody_hears_are_used_if_there_are_no_others() {
    let said = |name: &str, address: &str, ready: &str| {
        let status = format!(
            "status: {{podIP: {address}, conditions: [{{type: Ready, status: 'False'}}, {{type: ContainersReady, status: '{ready}'}}]}}"
        );
        pod(name, address, "one").replace(&format!("status: {{podIP: {address}}}"), &status)
    };
    let unready =
        |address: &str| format!("{{addresses: [{address}], conditions: {{ready: false}}}}");
    let pods = said("a", "10.0.0.1", "True")
        + &said("b", "10.0.0.2", "False")
        + &said("c", "10.0.0.3", "True").replace(
            "containers: []",
            "containers: [], readinessGates: [{conditionType: x}]",
        );
    let used = |endpoints: &str| -> Vec<String> {
        let living = Living::new(&(service(PLAIN) + &pods + &slice(endpoints)));
        let endpoints = living.world.endpoints(HOST);
        let used = endpoints.iter().filter(|endpoint| endpoint.ready);
        used.map(|endpoint| endpoint.address.to_string()).collect()
    };
    let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(unready).join(", ");
    assert_eq!(used(&all), ["10.0.0.1"]);
    assert_eq!(
        used(&format!("{all}, {{addresses: [10.0.0.9]}}")),
        ["10.0.0.9"]
    );
    let ends = "{addresses: [10.0.0.1], conditions: {ready: false, terminating: true}}";
    assert_eq!(used(ends), [] as [&str; 0]);
}

#[test]
fn a_new_service_account_changes_whom_clusters_trust() {
    let text = service(PLAIN) + &slice("{addresses: [10.0.0.1]}") + &pod("a", "10.0.0.1", "one");
    let mut living = Living::new(&text);
    let same =
        slice("{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}") + &pod("b", "10.0.0.2", "one");
    assert!(!living.apply(&same).full);
    let other =
        slice("{addresses: [10.0.0.1]}, {addresses: [10.0.0.3]}") + &pod("c", "10.0.0.3", "two");
    assert!(living.apply(&other).full);
    let accounts = living.world.endpoints(HOST).service_accounts();
    assert_eq!(accounts, [("x", "one"), ("x", "two")].into());
}

#[test]
fn a_pod_changes_its_endpoints_and_its_own_proxy() {
    let text = service(PLAIN) + &slice("{addresses: [10.0.0.1]}") + &pod("a", "10.0.0.1", "one");
    let mut living = Living::new(&text);
    let change =
        living.apply(&pod("a", "10.0.0.1", "one").replace("app: s", "app: s, version: v2"));
    let own = Change {
        workloads: [ObjectRef::new("x", "a")].into(),
        ..only_endpoints()
    };
    assert_eq!(change, own);
    // A pod that nobody refers to.
    let stranger = living.apply(&pod("z", "10.0.0.9", "one"));
    assert!(!stranger.full && stranger.endpoints.is_empty());
}

#[test]
fn endpoints_of_a_headless_service_are_listeners_as_well() {
    let headless = "clusterIP: None, ports: [{port: 80}]";
    let mut living = Living::new(&(service(headless) + &slice("{addresses: [10.0.0.1]}")));
    assert_eq!(
        living.apply(&slice("{addresses: [10.0.0.2]}")),
        Change::everything()
    );
}

#[test]
fn services_and_settings_change_everything() {
    let mut living = Living::new(&service(PLAIN));
    assert_eq!(living.apply(&service(PLAIN)), Change::default());
    assert_eq!(
        living.apply(&service("clusterIP: 10.96.0.2, ports: [{port: 80}]")),
        Change::everything()
    );
    assert_eq!(living.remove(Kind::Service, "x", "s"), Change::everything());
    let settings = |text: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: istio-system}}, data: {{mesh: '{text}'}}}}"
        )
    };
    assert_eq!(
        living.apply(&settings("accessLogFile: /dev/stdout")),
        Change::everything()
    );
    assert_eq!(living.world.mesh().access_log_file, "/dev/stdout");
    assert_eq!(
        living.apply(&settings("{accessLogFile: /dev/stdout}")),
        Change::default()
    );
    assert_eq!(
        living.remove(Kind::MeshConfig, "istio-system", "istio"),
        Change::everything()
    );
    assert_eq!(living.world.mesh().access_log_file, "");
}

#[test]
fn endpoints_wait_for_their_service() {
    let mut living = Living::new(&slice("{addresses: [10.0.0.1]}"));
    assert!(living.world.services().get(HOST).is_none());
    assert_eq!(living.apply(&service(PLAIN)), Change::everything());
    assert_eq!(living.world.endpoints(HOST).iter().count(), 1);
}

#[test]
fn a_slice_may_move_to_another_service() {
    let text = service(PLAIN)
        + &service(PLAIN).replace("name: s", "name: t")
        + &slice("{addresses: [10.0.0.1]}");
    let mut living = Living::new(&text);
    let change = living
        .apply(&slice("{addresses: [10.0.0.1]}").replace("service-name: s", "service-name: t"));
    let hosts: Vec<_> = change.endpoints.iter().map(|host| &**host).collect();
    assert_eq!(hosts, [HOST, "t.x.svc.cluster.local"]);
    assert_eq!(living.world.endpoints(HOST).iter().count(), 0);
}

#[test]
fn a_node_moves_its_pods() {
    let placed = pod("a", "10.0.0.1", "one").replace("containers", "nodeName: n1, containers");
    let mut living = Living::new(&(service(PLAIN) + &slice("{addresses: [10.0.0.1]}") + &placed));
    let node = "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {topology.kubernetes.io/region: eu}}}";
    let change = living.apply(node);
    assert_eq!(change.endpoints, only_endpoints().endpoints);
    let workload = living.world.workloads().get("x", "a").expect("a pod");
    assert_eq!(&*workload.locality.region, "eu");
}

#[test]
fn changes_add_up() {
    let mut change = Change::default();
    assert!(change.is_empty());
    change.merge(only_endpoints());
    change.merge(Change::everything());
    assert!(change.full && change.endpoints.contains(HOST) && !change.is_empty());
}

#[test]
fn what_does_not_change_is_shared() {
    let mut living = Living::new(&(service(PLAIN) + &slice("{addresses: [10.0.0.1]}")));
    let before = living.world.clone();
    living.apply(&slice("{addresses: [10.0.0.2]}"));
    assert!(Arc::ptr_eq(&before.services, &living.world.services));
    assert!(Arc::ptr_eq(&before.workloads, &living.world.workloads));
    assert!(!Arc::ptr_eq(&before.endpoints, &living.world.endpoints));
}

#[test]
fn a_pods_owner_is_what_made_it() {
    let owned = |kind: &str, owner: &str, hash: &str| {
        format!(
            "
apiVersion: v1
kind: Pod
metadata:
  name: nginx-7c79c4bf97-7985c
  namespace: x
  labels: {{pod-template-hash: {hash}}}
  ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, name: {owner}, uid: u, controller: true}}]
"
        )
    };
    for (kind, owner, hash, want) in [
        ("ReplicaSet", "nginx-7c79c4bf97", "7c79c4bf97", "nginx"),
        ("ReplicaSet", "nginx", "7c79c4bf97", "nginx"),
        (
            "StatefulSet",
            "db-7c79c4bf97",
            "7c79c4bf97",
            "db-7c79c4bf97",
        ),
    ] {
        let living = Living::new(&owned(kind, owner, hash));
        let workload = living
            .world
            .workloads()
            .get("x", "nginx-7c79c4bf97-7985c")
            .expect("a pod");
        assert_eq!(
            (&*workload.owner, workload.canonical_name()),
            (want, want),
            "{kind} {owner}"
        );
    }
}

#[test]
fn an_ended_pod_has_left_its_address() {
    let mut living = Living::new(&pod("a", "10.0.0.1", "one"));
    let ended = pod("a", "10.0.0.1", "one").replace("podIP:", "phase: Succeeded, podIP:");
    let change = living.apply(&ended);
    assert_eq!(change.workloads, [ObjectRef::new("x", "a")].into());
    assert_eq!(living.world.workloads().iter().count(), 0);
}

#[test]
fn selectors_decide_which_namespaces_count() {
    let mesh = |selectors: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata: {{mesh: '{selectors}'}}\n"
        )
    };
    let labelled = |labels: &str| {
        format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: x, labels: {{{labels}}}}}\n"
        )
    };
    let strict = |namespace: &str| {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: d, namespace: {namespace}}}\nspec: {{mtls: {{mode: STRICT}}}}\n"
        )
    };
    let all = service(PLAIN) + &slice("{addresses: [10.0.0.1]}") + &labelled("") + &strict("x");
    let mut living = Living::new(&all);
    let before = living.world.clone();
    assert!(
        living
            .apply(&mesh(
                "discoverySelectors: [{matchLabels: {mesh: \"yes\"}}]"
            ))
            .full
    );
    assert!(living.world.services().get(HOST).is_none());
    assert_eq!(living.world.endpoints(HOST).iter().count(), 0);
    assert_eq!(
        living.world.mutual_tls("x", &Default::default()).on(80),
        MtlsMode::Permissive
    );
    // What comes meanwhile counts no more than what was there.
    assert!(!living.apply(&slice("{addresses: [10.0.0.2]}")).full);
    assert_eq!(living.world.endpoints(HOST).iter().count(), 0);
    // The mesh's own policies hold whatever is selected.
    living.apply(&strict("istio-system"));
    assert_eq!(
        living.world.mutual_tls("x", &Default::default()).on(80),
        MtlsMode::Strict
    );
    living.remove(Kind::PeerAuthentication, "istio-system", "d");
    assert!(living.apply(&labelled("mesh: \"yes\"")).full);
    assert_eq!(living.world.endpoints(HOST).iter().count(), 1);
    living.apply(&slice("{addresses: [10.0.0.1]}"));
    living.apply(&mesh(""));
    assert_eq!(living.world, before);
    let by_name = "discoverySelectors: [{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [x]}]}]";
    assert!(living.apply(&mesh(by_name)).full);
    assert!(living.world.services().get(HOST).is_none());
}
