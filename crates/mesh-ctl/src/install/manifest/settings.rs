//! The config maps: the mesh's settings, and those of injection, under Istio's names and keys.

use mesh_api::yaml;
use mesh_injector::Texts;
use serde_json::{Map, Value, json};

use super::Plan;

/// Options among `values.sidecarInjectorWebhook` that are settings of the key `config`.
const CONFIG: [&str; 6] = [
    "neverInjectSelector",
    "alwaysInjectSelector",
    "injectedAnnotations",
    "templates",
    "aliases",
    "defaultTemplates",
];

/// The texts that the config maps hold, as the injector reads them.
pub(super) fn texts(plan: &Plan<'_>) -> Texts {
    Texts {
        config: yaml::to_string(&config(plan)),
        values: format!("{:#}\n", values(plan)),
        mesh: yaml::to_string(&mesh(plan)),
    }
}

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let suffix = plan.options.suffix();
    let Texts {
        config,
        values,
        mesh,
    } = texts(plan);
    let map = |name: String, data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": plan.metadata(&name), "data": data});
    vec![
        map(format!("istio{suffix}"), json!({"mesh": mesh})),
        map(plan.injector(), json!({"config": config, "values": values})),
    ]
}

/// Policy, selectors and templates, from Istio's values for them.
fn config(plan: &Plan<'_>) -> Value {
    let values = &plan.options.values;
    // What is neither of the two is refused where the values are read, under the key that it was typed with.
    let policy = match &values["global"]["proxy"]["autoInject"] {
        Value::String(disabled) if disabled == "disabled" => "disabled",
        _ => "enabled",
    };
    let mut config =
        json!({"policy": policy, "neverInjectSelector": [], "alwaysInjectSelector": []});
    let webhook = &values["sidecarInjectorWebhook"];
    for name in CONFIG {
        match &webhook[name] {
            Value::Null => {}
            set => config[name] = set.clone(),
        }
    }
    config
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
    if let Some(metadata) = mesh.pointer_mut("/defaultConfig/proxyMetadata") {
        as_texts(metadata);
    }
    mesh
}

/// Variables are texts: `true` and `3` are taken as they were typed.
fn as_texts(variables: &mut Value) {
    let all = variables.as_object_mut().into_iter().flatten();
    for (_, value) in all {
        if value.is_boolean() || value.is_number() {
            *value = value.to_string().into();
        }
    }
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
        let cni = fields
            .remove("pilot")
            .and_then(|mut pilot| pilot.as_object_mut()?.remove("cni"));
        if let Some(cni) = cni {
            fields.insert("pilot".to_owned(), json!({ "cni": cni }));
        }
        if let Some(webhook) = fields
            .get_mut("sidecarInjectorWebhook")
            .and_then(Value::as_object_mut)
        {
            let elsewhere = [&super::webhooks::OPTIONS[..], &CONFIG].concat();
            webhook.retain(|name, _| !elsewhere.contains(&name.as_str()));
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
