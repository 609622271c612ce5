//! The config maps: the mesh's settings, and those of injection, under Istio's names and keys.

use mesh_api::yaml;
use serde_json::{Map, Value, json};

use super::Plan;

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let suffix = plan.options.suffix();
    let config =
        json!({"policy": "enabled", "neverInjectSelector": [], "alwaysInjectSelector": []});
    let map = |name: String, data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": plan.metadata(&name), "data": data});
    vec![
        map(
            format!("istio{suffix}"),
            json!({"mesh": yaml::to_string(&mesh(plan))}),
        ),
        map(
            plan.injector(),
            json!({"config": yaml::to_string(&config), "values": format!("{:#}\n", values(plan))}),
        ),
    ]
}

/// What the user sets, over what follows from where the control plane is.
fn mesh(plan: &Plan<'_>) -> Value {
    let address = format!("{}.{}.svc:15012", plan.istiod(), plan.namespace);
    let mut mesh = json!({
        "rootNamespace": plan.namespace,
        "trustDomain": "cluster.local",
        "defaultConfig": {"discoveryAddress": address},
    });
    merge(&mut mesh, &plan.options.mesh_config);
    mesh
}

fn values(plan: &Plan<'_>) -> Value {
    let options = plan.options;
    let mut values = json!({
        "global": {
            "hub": options.hub, "tag": options.tag, "imagePullPolicy": options.image_pull_policy,
            "proxy": {"image": options.image},
        },
        "revision": options.revision,
    });
    merge(&mut values, &options.values);
    // These steer the installation, not injection.
    if let Some(fields) = values.as_object_mut() {
        fields.remove("pilot");
        if let Some(webhook) = fields
            .get_mut("sidecarInjectorWebhook")
            .and_then(Value::as_object_mut)
        {
            webhook.retain(|name, _| !super::webhooks::OPTIONS.contains(&name.as_str()));
        }
    }
    values
}

/// Field by field; what is not an object replaces.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(
                    base.entry(key.clone()).or_insert(Value::Object(Map::new())),
                    value,
                );
            }
        }
        (base, over) => *base = over.clone(),
    }
}
