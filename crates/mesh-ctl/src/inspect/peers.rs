//! Whether a pod takes mutual TLS, plaintext or both: what all `PeerAuthentication` come to for it.
//!
//! The narrowest policy that says something counts: that of a port, of a workload, of its namespace, of the mesh. Of two for
//! the same, the older counts. The control plane decides in the same way, and it is its decision that is in force.

use std::collections::BTreeMap;

use mesh_api::security::{MtlsMode, PeerAuthentication};

use super::labels::{Labels, holds};

/// What is asked of those who call a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effective {
    /// On ports that are not named.
    pub(crate) mode: MtlsMode,
    /// By port of the pod.
    pub(crate) ports: BTreeMap<u16, MtlsMode>,
    /// The policies that are for the pod, as `<name>.<namespace>`: of the mesh, of its namespace, of itself.
    pub(crate) applied: Vec<String>,
}

/// What `all` come to for a pod of `namespace` with `labels`. `root` is the namespace whose policies are for the mesh.
pub(crate) fn effective(
    mut all: Vec<PeerAuthentication>,
    root: &str,
    namespace: &str,
    labels: &Labels,
) -> Effective {
    all.sort_by_key(|policy| {
        let metadata = &policy.metadata;
        (metadata.creation_timestamp.clone(), metadata.name.clone())
    });
    let wide = |namespace: &str| {
        let whole = |policy: &&PeerAuthentication| {
            is_in(policy, namespace) && policy.spec.selector.match_labels.is_empty()
        };
        all.iter().filter(whole).collect::<Vec<_>>()
    };
    let (of_mesh, of_namespace) = (wide(root), wide(namespace));
    let own: Vec<_> = all
        .iter()
        .filter(|policy| {
            is_in(policy, namespace) && holds(labels, &policy.spec.selector.match_labels)
        })
        .collect();
    let says =
        |policies: &[&PeerAuthentication]| policies.first().map(|policy| policy.spec.mtls.mode);
    let said = |mode: &Option<MtlsMode>| !matches!(mode, None | Some(MtlsMode::Unset));
    let modes = [says(&own), says(&of_namespace), says(&of_mesh)];
    let mode = modes
        .into_iter()
        .find(said)
        .flatten()
        .unwrap_or(MtlsMode::Permissive);
    let ports = own
        .first()
        .map(|policy| policy.spec.port_level_mtls.clone());
    let ports = ports
        .unwrap_or_default()
        .into_iter()
        .map(|(port, mtls)| match mtls.mode {
            MtlsMode::Unset => (port, mode),
            own => (port, own),
        });
    let of_namespace = if root == namespace {
        Vec::new()
    } else {
        of_namespace
    };
    let applied = of_mesh
        .into_iter()
        .chain(of_namespace)
        .chain(own.iter().copied());
    Effective {
        mode,
        ports: ports.collect(),
        applied: applied.map(name).collect(),
    }
}

fn is_in(policy: &PeerAuthentication, namespace: &str) -> bool {
    policy.metadata.namespace.as_deref() == Some(namespace)
}

fn name(policy: &PeerAuthentication) -> String {
    let metadata = &policy.metadata;
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}.{}", text(&metadata.name), text(&metadata.namespace))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(name: &str, namespace: &str, created: u32, spec: Value) -> PeerAuthentication {
        let created = format!("2024-01-01T00:00:{created:02}Z");
        let object = json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created}, "spec": spec});
        serde_json::from_value(object).expect("a policy")
    }

    fn outcome(all: &[PeerAuthentication]) -> (MtlsMode, Vec<(u16, MtlsMode)>, String) {
        let labels = Labels::from([("app".into(), "web".into())]);
        let effective = effective(all.to_vec(), "root", "shop", &labels);
        let ports = effective.ports.into_iter().collect();
        (effective.mode, ports, effective.applied.join(" "))
    }

    #[test]
    fn the_narrowest_policy_that_says_something_counts() {
        let mode = |mode: &str| json!({"mtls": {"mode": mode}});
        let mesh = policy("default", "root", 1, mode("STRICT"));
        let unset = policy("default", "shop", 2, json!({}));
        let other = policy(
            "db",
            "shop",
            1,
            json!({"selector": {"matchLabels": {"app": "db"}}, "mtls": {"mode": "DISABLE"}}),
        );
        let elsewhere = policy("default", "else", 1, mode("DISABLE"));
        let web = policy(
            "web",
            "shop",
            3,
            json!({"selector": {"matchLabels": {"app": "web"}},
            "mtls": {"mode": "PERMISSIVE"}, "portLevelMtls": {"8080": {"mode": "DISABLE"}, "9090": {}}}),
        );
        let younger = policy(
            "web-2",
            "shop",
            4,
            json!({"selector": {"matchLabels": {"app": "web"}}, "mtls": {"mode": "STRICT"}}),
        );

        let none: [PeerAuthentication; 0] = [];
        assert_eq!(
            outcome(&none),
            (MtlsMode::Permissive, vec![], String::new())
        );
        let all = [other, elsewhere, unset, mesh];
        assert_eq!(
            outcome(&all),
            (MtlsMode::Strict, vec![], "default.root default.shop".into())
        );
        let all = [&[younger, web][..], &all].concat();
        assert_eq!(
            outcome(&all),
            (
                MtlsMode::Permissive,
                vec![(8080, MtlsMode::Disable), (9090, MtlsMode::Permissive)],
                "default.root default.shop web.shop web-2.shop".into()
            )
        );
    }
}
