//! A world made step by step is the one made at once, and what it says of each step is true.

use super::*;
use crate::{
    snapshot::Change,
    watch::{Kind, ObjectRef, Stored},
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

/// Everything that exists, by what it is.
type Objects = BTreeMap<(Kind, ObjectRef), Stored>;

/// One change: what to, and the object in one of its forms; `None` removes it.
#[derive(Clone, Debug)]
struct Step {
    kind: Kind,
    index: u8,
    form: Option<u8>,
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let kind = prop_oneof![
        3 => Just(Kind::Service),
        4 => Just(Kind::Pod),
        4 => Just(Kind::EndpointSlice),
        1 => Just(Kind::Node),
        1 => Just(Kind::MeshConfig),
        1 => Just(Kind::Namespace),
        1 => Just(Kind::PeerAuthentication),
    ];
    let step = (kind, 0..3_u8, prop::option::weighted(0.8, 0..8_u8));
    let step = step.prop_map(|(kind, index, form)| Step { kind, index, form });
    prop::collection::vec(prop::collection::vec(step, 1..4), 1..24)
}

impl Step {
    fn name(&self) -> ObjectRef {
        let index = self.index;
        match self.kind {
            Kind::Service => ObjectRef::new(namespace(index), format!("s{index}")),
            Kind::Pod => ObjectRef::new(namespace(index), format!("p{index}")),
            // Two slices of one service.
            Kind::EndpointSlice => ObjectRef::new(namespace(index % 2), format!("slice{index}")),
            Kind::Node => ObjectRef::new("", format!("n{index}")),
            Kind::Namespace => ObjectRef::new("", namespace(index)),
            Kind::PeerAuthentication => ObjectRef::new(namespace(index), format!("pa{index}")),
            Kind::MeshConfig => ObjectRef::new("istio-system", "istio"),
        }
    }

    fn object(&self) -> Option<Stored> {
        let form = self.form?;
        let name = self.name();
        let value = match self.kind {
            Kind::Service => service(&name, self.index, form),
            Kind::Pod => pod(&name, self.index, form),
            Kind::EndpointSlice => slice(&name, self.index, form),
            Kind::Node => node(&name, form),
            Kind::Namespace => namespace_object(&name, form),
            Kind::PeerAuthentication => peers(&name, form),
            Kind::MeshConfig => mesh(form),
        };
        let text = value.to_string();
        let parsed = mesh_api::manifest::parse(&text).expect("valid").remove(0);
        match Use::of(parsed.object).expect("valid settings") {
            Use::Read { object, .. } => Some(object),
            _ => panic!("{text} is not read"),
        }
    }

    fn delta(&self) -> Delta {
        match self.object() {
            Some(object) => Delta::Set(object),
            None => Delta::Gone(self.kind, self.name()),
        }
    }
}

/// The second of three lives apart from the others.
fn namespace(index: u8) -> &'static str {
    if index == 1 { "apart" } else { "together" }
}

fn namespace_object(name: &ObjectRef, form: u8) -> Json {
    let labels = if form.is_multiple_of(2) {
        json!({})
    } else {
        json!({"mesh": "yes"})
    };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": &*name.name, "labels": labels}})
}

fn metadata(name: &ObjectRef) -> Json {
    json!({"name": &*name.name, "namespace": &*name.namespace})
}

fn service(name: &ObjectRef, index: u8, form: u8) -> Json {
    let port = [
        json!({"port": 80, "name": "http"}),
        json!({"port": 80}),
        json!({"port": 80, "name": "tcp"}),
    ];
    let mut spec = json!({"ports": [port[usize::from(form % 3)]]});
    let address = format!("10.96.0.{index}");
    match form {
        0..=3 => spec["clusterIP"] = address.into(),
        4..=5 => spec["clusterIP"] = "None".into(),
        6 => {
            spec = json!({"type": "ExternalName", "externalName": "s0.together.svc.cluster.local"})
        }
        _ => {}
    }
    if form != 3 {
        spec["selector"] = json!({"app": "a"});
    }
    if form == 2 {
        spec["publishNotReadyAddresses"] = true.into();
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata(name), "spec": spec})
}

fn pod(name: &ObjectRef, index: u8, form: u8) -> Json {
    let mut metadata = metadata(name);
    metadata["labels"] = match form {
        0 => json!({"app": "b"}),
        1..=3 => json!({"app": "a"}),
        _ => json!({"app": "a", "security.istio.io/tlsMode": "istio"}),
    };
    let account = if form == 5 { "other" } else { "default" };
    // Two pods may claim one address.
    let address = format!("10.0.0.{}", if form == 6 { 0 } else { index });
    let phase = if form == 7 { "Failed" } else { "Running" };
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {"nodeName": format!("n{}", form % 3), "serviceAccountName": account, "containers": []},
        "status": {"podIP": address, "phase": phase},
    })
}

fn peers(name: &ObjectRef, form: u8) -> Json {
    let mode = ["UNSET", "DISABLE", "PERMISSIVE", "STRICT"][usize::from(form % 4)];
    let mut spec = json!({"mtls": {"mode": mode}});
    if form > 3 {
        spec["selector"] = json!({"matchLabels": {"app": "a"}});
        spec["portLevelMtls"] = json!({"80": {"mode": "DISABLE"}});
    }
    json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": metadata(name), "spec": spec})
}

fn slice(name: &ObjectRef, index: u8, form: u8) -> Json {
    let mut metadata = metadata(name);
    let service = if form == 7 {
        "nothing"
    } else {
        ["s0", "s1", "s0"][usize::from(index)]
    };
    metadata["labels"] = json!({"kubernetes.io/service-name": service});
    let port = if form.is_multiple_of(2) {
        json!({"port": 80, "name": "http"})
    } else {
        json!({"port": 80})
    };
    let ready = form != 3;
    let endpoint = |address: u8| {
        let mut endpoint =
            json!({"addresses": [format!("10.0.0.{address}")], "conditions": {"ready": ready}});
        if form > 3 {
            endpoint["targetRef"] = json!({"kind": "Pod", "name": format!("p{address}")});
        }
        endpoint
    };
    let endpoints: Vec<_> = (0..form % 4).map(endpoint).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
        "addressType": "IPv4", "ports": [port], "endpoints": endpoints,
    })
}

fn node(name: &ObjectRef, form: u8) -> Json {
    let labels = json!({"topology.kubernetes.io/region": format!("r{}", form % 2)});
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": &*name.name, "labels": labels}})
}

fn mesh(form: u8) -> Json {
    let selectors = "discoverySelectors: [{matchLabels: {mesh: \"yes\"}}]";
    let texts = [
        "",
        "accessLogFile: /dev/stdout",
        "enableAutoMtls: false",
        selectors,
    ];
    let text = texts[usize::from(form % 4)];
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": text},
    })
}

/// The world of `objects`, made at once.
fn at_once(objects: &Objects) -> World {
    let mut stores = Stores::default();
    objects
        .values()
        .cloned()
        .for_each(|object| stores.apply(Delta::Set(object)));
    let touched = stores.take_touched();
    World::empty(ClusterIdentity::default())
        .next(&stores, &touched)
        .0
}

/// The proxies of the pods.
fn proxies() -> impl Iterator<Item = Proxy> {
    (0..3).map(|index| {
        let namespace = namespace(index);
        proxy(
            &format!("sidecar~10.0.0.{index}~p{index}.{namespace}~{namespace}.svc.cluster.local"),
            EVERYTHING,
        )
    })
}

/// Whoever is not told of a change must not need to be.
fn assert_told(before: &World, after: &World, change: &Change, proxy: &Proxy) {
    if change.full {
        return;
    }
    let own = ObjectRef::new(&*proxy.id.namespace, &*proxy.id.pod);
    let sets = |world| [Key::clusters(world, proxy), Key::listeners(world, proxy)].concat();
    if !change.workloads.contains(&own) {
        assert_eq!(sets(before), sets(after), "keys of {own}");
    }
    for key in sets(after) {
        assert_eq!(key.build(before), key.build(after), "{key:?}");
    }
    for name in route_names(after, proxy) {
        assert_eq!(route(before, proxy, &name), route(after, proxy, &name));
    }
    for name in endpoint_names(after, proxy) {
        let host = name.parts().expect("a service's cluster").host;
        if !change.endpoints.contains(host) {
            assert_eq!(
                endpoints(before, proxy, &name),
                endpoints(after, proxy, &name),
                "{name}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn worlds_do_not_depend_on_how_they_came_about(steps in steps()) {
        let mut objects = Objects::new();
        let mut stores = Stores::default();
        let mut world = World::empty(ClusterIdentity::default());
        for burst in steps {
            for step in &burst {
                stores.apply(step.delta());
                match step.object() {
                    Some(object) => objects.insert((step.kind, step.name()), object),
                    None => objects.remove(&(step.kind, step.name())),
                };
            }
            let touched = stores.take_touched();
            let (next, change) = world.next(&stores, &touched);
            prop_assert_eq!(&next, &at_once(&objects), "after {:?}", burst);
            prop_assert!(next == world || !change.is_empty() || unseen(&world, &next), "after {:?}", burst);
            proxies().for_each(|proxy| assert_told(&world, &next, &change, &proxy));
            world = next;
        }
    }
}

/// Whether the worlds differ only in endpoints of services that do not exist, or not at all.
fn unseen(before: &World, after: &World) -> bool {
    let services = after.services().iter();
    before.services() == after.services()
        && before.workloads() == after.workloads()
        && services
            .into_iter()
            .all(|s| before.endpoints(&s.host) == after.endpoints(&s.host))
}
