//! Whether workloads take mutual TLS, plaintext, or both: what all `PeerAuthentication` come to (Istio "mTLS resolution").
//!
//! The narrowest policy that says something counts: that of a port, of a workload, of its namespace, of the mesh; `PERMISSIVE`
//! if none does. Of two for the same, the older counts.

use super::{Workloads, World, age::Age};
use crate::watch::ObjectRef;
use mesh_api::security::{MtlsMode as Written, PeerAuthentication};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a port takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MtlsMode {
    /// Plaintext.
    Disable,
    /// Mutual TLS and plaintext.
    #[default]
    Permissive,
    /// Mutual TLS.
    Strict,
}

/// What a workload takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MutualTls {
    /// On ports that are not named.
    pub default: MtlsMode,
    /// By port of the pod.
    pub ports: BTreeMap<u16, MtlsMode>,
}

/// All policies, by namespace, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerPolicies(BTreeMap<Arc<str>, Vec<Policy>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Policy {
    age: Age,
    /// Empty for the whole namespace.
    selector: BTreeMap<String, String>,
    mode: Option<MtlsMode>,
    ports: BTreeMap<u16, Option<MtlsMode>>,
}

impl MutualTls {
    /// What a port of the pod takes.
    pub fn on(&self, port: u16) -> MtlsMode {
        self.ports.get(&port).copied().unwrap_or(self.default)
    }
}

impl PeerPolicies {
    pub(super) fn new<'a>(all: impl Iterator<Item = &'a PeerAuthentication>) -> Self {
        let mut policies: BTreeMap<Arc<str>, Vec<Policy>> = BTreeMap::new();
        for object in all {
            let namespace = ObjectRef::namespaced(&object.metadata).namespace;
            policies
                .entry(namespace)
                .or_default()
                .push(Policy::of(object));
        }
        for of_namespace in policies.values_mut() {
            of_namespace.sort_by(|a, b| a.age.cmp(&b.age));
        }
        Self(policies)
    }

    /// What a workload of `namespace` with these labels takes. `root` is the namespace whose policies are for the mesh.
    pub fn of_workload(
        &self,
        root: &str,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> MutualTls {
        let wider = self.of_namespace(root, namespace);
        let Some(own) = self.all(namespace).find(|p| p.selects(labels)) else {
            return MutualTls {
                default: wider,
                ports: BTreeMap::new(),
            };
        };
        let default = own.mode.unwrap_or(wider);
        let ports = own.ports.iter();
        MutualTls {
            default,
            ports: ports
                .map(|(port, mode)| (*port, mode.unwrap_or(default)))
                .collect(),
        }
    }

    /// What workloads of `namespace` take, as far as no policy is for them alone.
    pub fn of_namespace(&self, root: &str, namespace: &str) -> MtlsMode {
        let whole = |namespace| self.all(namespace).find(|p| p.selector.is_empty())?.mode;
        whole(namespace).or_else(|| whole(root)).unwrap_or_default()
    }

    /// Whether no workload of `namespace` takes mutual TLS.
    pub fn are_all_disabled(&self, root: &str, namespace: &str) -> bool {
        let others = |policy: &Policy| {
            let modes = policy.ports.values().chain([&policy.mode]);
            modes.flatten().any(|mode| *mode != MtlsMode::Disable)
        };
        self.of_namespace(root, namespace) == MtlsMode::Disable
            && !self
                .all(namespace)
                .any(|p| !p.selector.is_empty() && others(p))
    }

    /// Policies that an older one takes the place of, at least for some workloads: the younger, and the older.
    fn eclipsed(&self, workloads: &Workloads) -> BTreeSet<(ObjectRef, ObjectRef)> {
        let mut eclipsed = BTreeSet::new();
        let mut several = BTreeMap::new();
        for (namespace, policies) in &self.0 {
            for (index, younger) in policies.iter().enumerate() {
                let older = policies[..index]
                    .iter()
                    .find(|p| p.selector == younger.selector);
                eclipsed.extend(older.map(|older| (younger.age.object(), older.age.object())));
            }
            let selecting: Vec<&Policy> =
                policies.iter().filter(|p| !p.selector.is_empty()).collect();
            if selecting.len() > 1 {
                several.insert(&**namespace, selecting);
            }
        }
        if several.is_empty() {
            return eclipsed;
        }
        for workload in workloads.iter() {
            let policies = several.get(&*workload.namespace).into_iter().flatten();
            let mut selecting = policies.filter(|p| p.selects(&workload.labels));
            if let Some(older) = selecting.next() {
                let pairs = selecting.map(|younger| (younger.age.object(), older.age.object()));
                eclipsed.extend(pairs);
            }
        }
        eclipsed
    }

    fn all(&self, namespace: &str) -> impl Iterator<Item = &Policy> {
        self.0.get(namespace).into_iter().flatten()
    }
}

impl Policy {
    fn of(object: &PeerAuthentication) -> Self {
        let spec = &object.spec;
        let ports = spec.port_level_mtls.iter();
        Self {
            age: Age::of(&object.metadata),
            selector: spec.selector.match_labels.clone(),
            mode: mode(spec.mtls.mode),
            ports: ports.map(|(port, mtls)| (*port, mode(mtls.mode))).collect(),
        }
    }

    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.selector.is_empty() && self.selector.iter().all(|(k, v)| labels.get(k) == Some(v))
    }
}

fn mode(written: Written) -> Option<MtlsMode> {
    match written {
        Written::Unset => None,
        Written::Disable => Some(MtlsMode::Disable),
        Written::Permissive => Some(MtlsMode::Permissive),
        Written::Strict => Some(MtlsMode::Strict),
    }
}

impl World {
    /// What a workload of `namespace` with these labels takes.
    pub fn mutual_tls(&self, namespace: &str, labels: &BTreeMap<String, String>) -> MutualTls {
        let root = &self.mesh().root_namespace;
        self.peers.of_workload(root, namespace, labels)
    }

    /// Policies that an older one takes the place of, at least for some workloads: the younger, and the older.
    pub fn eclipsed_peer_authentications(&self) -> BTreeSet<(ObjectRef, ObjectRef)> {
        self.peers.eclipsed(&self.workloads)
    }

    /// Whether no workload of `namespace` takes mutual TLS.
    pub fn is_mutual_tls_off(&self, namespace: &str) -> bool {
        let root = &self.mesh().root_namespace;
        self.peers.are_all_disabled(root, namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world;

    /// A policy; `spec` in YAML's flow style.
    fn policy(namespace: &str, name: &str, spec: &str) -> String {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
        )
    }

    fn of(policies: &str, app: &str) -> MutualTls {
        let labels = [("app".to_owned(), app.to_owned())].into();
        world(policies).mutual_tls("test", &labels)
    }

    #[test]
    fn the_narrowest_policy_that_says_something_counts() {
        use MtlsMode::{Disable, Permissive, Strict};
        let mut all = String::new();
        assert_eq!(of(&all, "web").default, Permissive);
        all += &policy("istio-system", "mesh", "{mtls: {mode: STRICT}}");
        assert_eq!(of(&all, "web").default, Strict);
        all += &policy("test", "unset", "{}");
        assert_eq!(of(&all, "web").default, Strict, "UNSET inherits");
        all += &policy("other", "other", "{mtls: {mode: DISABLE}}");
        assert_eq!(of(&all, "web").default, Strict, "of another namespace");
        all = all.replace("spec: {}", "spec: {mtls: {mode: PERMISSIVE}}");
        assert_eq!(of(&all, "web").default, Permissive);
        all += &policy(
            "test",
            "web",
            "{selector: {matchLabels: {app: web}}, mtls: {mode: DISABLE}, portLevelMtls: {8443: {mode: STRICT}, 9: {}}}",
        );
        let web = of(&all, "web");
        assert_eq!(
            (web.default, web.on(8443), web.on(9), web.on(80)),
            (Disable, Strict, Disable, Disable)
        );
        assert_eq!(of(&all, "db").on(8443), Permissive);
    }

    #[test]
    fn of_two_for_the_same_the_older_counts() {
        let at = |year: u16, mode: &str| {
            let name = format!("{{name: of-{year}, creationTimestamp: '{year}-01-01T00:00:00Z'");
            policy("test", "N", &format!("{{mtls: {{mode: {mode}}}}}")).replace("{name: N", &name)
        };
        let both = at(2024, "DISABLE") + &at(2023, "STRICT");
        assert_eq!(of(&both, "web").default, MtlsMode::Strict);
    }

    #[test]
    fn a_namespace_is_off_only_if_every_workload_is() {
        let off = policy("test", "ns", "{mtls: {mode: DISABLE}}");
        assert!(world(&off).is_mutual_tls_off("test"));
        let one = policy(
            "test",
            "web",
            "{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}",
        );
        assert!(!world(&(off + &one)).is_mutual_tls_off("test"));
        assert!(!world("").is_mutual_tls_off("test"));
    }

    #[test]
    fn ports_without_a_selector_mean_nothing() {
        let all = policy("test", "ns", "{portLevelMtls: {80: {mode: STRICT}}}");
        assert_eq!(of(&all, "web"), MutualTls::default());
    }
}
