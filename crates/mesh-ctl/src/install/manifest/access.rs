//! Service accounts, and what each may do: no more than the calls that its program makes.
//!
//! A list or watch of one object by name is asked for with that name, which is what `resourceNames` checks. Creation cannot
//! be limited by name; it is limited by namespace where that is possible.

use mesh_api::crd;
use serde_json::{Value, json};

use super::Plan;

const READ: [&str; 2] = ["list", "watch"];

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let mut objects = of(
        plan,
        &plan.istiod(),
        &discovery_cluster(),
        &discovery_own(plan),
    );
    let injector = plan.injector();
    let (cluster, own) = (injector_cluster(plan), injector_own());
    objects.extend(of(plan, &injector, &cluster, &own));
    objects
}

/// A service account with its roles.
fn of(plan: &Plan<'_>, account: &str, cluster: &Value, own: &Value) -> Vec<Value> {
    let group = "rbac.authorization.k8s.io";
    let version = "rbac.authorization.k8s.io/v1";
    let subjects =
        json!([{"kind": "ServiceAccount", "name": account, "namespace": plan.namespace}]);
    let wide = plan.cluster_wide(account);
    let reference = |kind: &str, name: &str| json!({"apiGroup": group, "kind": kind, "name": name});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": plan.metadata(account)}),
        json!({"apiVersion": version, "kind": "ClusterRole", "metadata": plan.cluster_metadata(&wide), "rules": cluster}),
        json!({"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": plan.cluster_metadata(&wide),
            "roleRef": reference("ClusterRole", &wide), "subjects": subjects}),
        json!({"apiVersion": version, "kind": "Role", "metadata": plan.metadata(account), "rules": own}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": plan.metadata(account),
            "roleRef": reference("Role", account), "subjects": subjects}),
    ]
}

fn discovery_cluster() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["services", "pods", "nodes", "namespaces"], "verbs": READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": READ},
        {"apiGroups": crd::GROUPS,
            "resources": ["*"], "verbs": READ},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["istio-ca-root-cert"], "verbs": ["list", "watch", "patch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
    ])
}

fn discovery_own(plan: &Plan<'_>) -> Value {
    let settings = format!("istio{}", plan.options.suffix());
    json!([
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [settings], "verbs": READ},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["istio-ca-secret"], "verbs": ["get", "update"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["mesh-discovery"], "verbs": ["get", "update"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    ])
}

fn injector_cluster(plan: &Plan<'_>) -> Value {
    let names = super::webhooks::names(plan);
    json!([
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
        {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["mutatingwebhookconfigurations"],
            "resourceNames": names, "verbs": ["list", "watch", "patch"]},
    ])
}

fn injector_own() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["istio-ca-root-cert"], "verbs": READ},
    ])
}
