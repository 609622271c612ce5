//! PeerAuthentication at each level at which it may stand: mesh, namespace, workload, port.

use super::{INSIDE, OUTSIDE, is_refused, is_served};
use crate::{
    kubectl::{DELETED_WITHIN, Kubectl, SETTLING, eventually},
    play::mesh::SYSTEM,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Each policy alone, in the order of precedence; then several, of which the nearest counts.
///
/// Nothing is judged by what was so already: without a policy everybody is served, and `before` has the opposite effect of
/// what is tried, unless that is to refuse.
pub(super) fn play(kubectl: &Kubectl) -> Result<()> {
    use Expected::{Disabled, Permissive, Strict};
    let selector = json!({"matchLabels": {"app": "server"}});
    let mesh = |mode: &str| policy(SYSTEM, "default", json!({"mtls": {"mode": mode}}));
    let namespace = |mode: &str| policy(INSIDE, "default", json!({"mtls": {"mode": mode}}));
    let workload = |mode: &str| {
        policy(
            INSIDE,
            "server",
            json!({"selector": selector, "mtls": {"mode": mode}}),
        )
    };
    let port = |whole: &str, mode: &str| {
        policy(
            INSIDE,
            "server",
            json!({"selector": selector, "mtls": {"mode": whole},
            "portLevelMtls": {"80": {"mode": mode}}}),
        )
    };
    let strict = || mesh("STRICT");
    let mut policies = Policies {
        kubectl,
        all: Vec::new(),
    };
    let cases = [
        ("no policy", vec![strict()], vec![], Permissive),
        ("mesh STRICT", vec![], vec![strict()], Strict),
        (
            "mesh PERMISSIVE",
            vec![strict()],
            vec![mesh("PERMISSIVE")],
            Permissive,
        ),
        (
            "namespace STRICT",
            vec![],
            vec![namespace("STRICT")],
            Strict,
        ),
        ("workload STRICT", vec![], vec![workload("STRICT")], Strict),
        (
            "workload PERMISSIVE, port STRICT",
            vec![workload("PERMISSIVE")],
            vec![port("PERMISSIVE", "STRICT")],
            Strict,
        ),
        (
            "mesh STRICT, namespace PERMISSIVE",
            vec![strict()],
            vec![strict(), namespace("PERMISSIVE")],
            Permissive,
        ),
        (
            "mesh PERMISSIVE, namespace STRICT",
            vec![mesh("PERMISSIVE")],
            vec![mesh("PERMISSIVE"), namespace("STRICT")],
            Strict,
        ),
        (
            "namespace STRICT, workload PERMISSIVE",
            vec![namespace("STRICT")],
            vec![namespace("STRICT"), workload("PERMISSIVE")],
            Permissive,
        ),
        (
            "namespace PERMISSIVE, workload STRICT",
            vec![namespace("PERMISSIVE")],
            vec![namespace("PERMISSIVE"), workload("STRICT")],
            Strict,
        ),
        (
            "mesh DISABLE",
            vec![strict()],
            vec![mesh("DISABLE")],
            Disabled,
        ),
        (
            "mesh STRICT, namespace DISABLE",
            vec![strict()],
            vec![strict(), namespace("DISABLE")],
            Disabled,
        ),
        (
            "namespace STRICT, workload UNSET",
            vec![workload("UNSET")],
            vec![namespace("STRICT"), workload("UNSET")],
            Strict,
        ),
        (
            "workload STRICT, port DISABLE",
            vec![workload("STRICT")],
            vec![port("STRICT", "DISABLE")],
            Disabled,
        ),
        (
            "workload STRICT, port PERMISSIVE",
            vec![workload("STRICT")],
            vec![port("STRICT", "PERMISSIVE")],
            Permissive,
        ),
    ];
    for (what, before, these, expected) in cases {
        let steps = || {
            policies.become_these(vec![])?;
            policies.have(Permissive).context("without a policy")?;
            policies.become_these(before)?;
            let opposite = if expected == Strict {
                Permissive
            } else {
                Strict
            };
            policies.have(opposite).context("before")?;
            policies.become_these(these)?;
            policies.have(expected)
        };
        steps().with_context(|| what.to_owned())?;
    }
    policies.become_these(vec![])?;
    policies.have(Permissive).context("afterwards")?;
    println!(
        "  PeerAuthentication at mesh, namespace, workload and port: PERMISSIVE and DISABLE serve, STRICT refuses who is outside"
    );
    Ok(())
}

/// What a level's policies must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Who is outside is refused; who is inside is encrypted.
    Strict,
    /// Who is outside is served; who is inside is encrypted.
    Permissive,
    /// Who is outside is served; who is inside is not encrypted.
    Disabled,
}

/// Policies in force.
struct Policies<'a> {
    kubectl: &'a Kubectl,
    all: Vec<Value>,
}

impl Policies<'_> {
    /// Puts these in the place of those before.
    fn become_these(&mut self, all: Vec<Value>) -> Result<()> {
        if !all.is_empty() {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
            self.kubectl.apply(&list)?;
        }
        let place = |policy: &Value| {
            let field = |name: &str| policy["metadata"][name].as_str().map(String::from);
            field("namespace").zip(field("name"))
        };
        let kept: Vec<_> = all.iter().filter_map(place).collect();
        for (namespace, name) in self.all.iter().filter_map(place) {
            if !kept.contains(&(namespace.clone(), name.clone())) {
                let delete = ["delete", "peerauthentication", &name, DELETED_WITHIN];
                self.kubectl
                    .text(&[&["-n", namespace.as_str()], &delete[..]].concat())?;
            }
        }
        self.all = all;
        Ok(())
    }

    /// Waits until they have their effect, and looks once more.
    fn have(&self, expected: Expected) -> Result<()> {
        let outside = || match expected {
            Expected::Strict => is_refused(self.kubectl, OUTSIDE),
            _ => is_served(self.kubectl, OUTSIDE, "level").map(drop),
        };
        eventually(SETTLING, outside)?;
        eventually(SETTLING, || {
            let answer = is_served(self.kubectl, INSIDE, "level")?;
            let encrypted = answer.contains("x-forwarded-client-cert: ");
            ensure!(
                encrypted == (expected != Expected::Disabled),
                "from inside: {answer}"
            );
            Ok(())
        })?;
        outside().context("once more")
    }
}

/// A PeerAuthentication.
pub(super) fn policy(namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}
