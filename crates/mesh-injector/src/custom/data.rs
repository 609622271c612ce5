//! What a template sees, under Istio's names.

use mesh_model::port;
use serde_json::{Value as Json, json};

use super::kubernetes::{OBJECT_META, POD_SPEC, TYPE_META};
use crate::gotemplate::{Shape, Struct, Type, Value};
use crate::template::Input;

static DATA: Struct = Struct {
    name: "the data of a template",
    fields: &[
        ("typeMeta", Type::Inline(&TYPE_META)),
        ("deploymentMeta", Type::Inline(&OBJECT_META)),
        ("objectMeta", Type::Inline(&OBJECT_META)),
        ("spec", Type::Inline(&POD_SPEC)),
        ("proxyConfig", Type::Inline(&PROXY_CONFIG)),
        ("meshConfig", Type::Pointer(Shape::Object)),
        ("values", Type::Map(Shape::Any)),
        ("revision", Type::Text),
        ("nativeSidecars", Type::Bool),
        ("proxyImage", Type::Text),
        ("proxyUID", Type::Int),
        ("proxyGID", Type::Int),
        ("inboundTrafficPolicyMode", Type::Text),
        ("compliancePolicy", Type::Text),
        ("estimatedConcurrency", Type::Int),
    ],
};

/// Of Istio's fields those that count here; another one is an error, so that it is not taken for unset.
static PROXY_CONFIG: Struct = Struct {
    name: "ProxyConfig",
    fields: &[
        ("discoveryAddress", Type::Text),
        ("concurrency", Type::Pointer(Shape::Object)),
        ("drainDuration", Type::Text),
        ("terminationDrainDuration", Type::Text),
        ("statusPort", Type::Int),
        ("proxyAdminPort", Type::Int),
        ("holdApplicationUntilProxyStarts", Type::Bool),
        ("proxyMetadata", Type::Map(Shape::Texts)),
        ("interceptionMode", Type::Text),
        ("meshId", Type::Text),
    ],
};

pub(super) fn of(input: &Input<'_>) -> Result<Value, String> {
    let (settings, annotations, workload) = (input.settings, input.annotations, input.workload);
    let to_json = |error: serde_json::Error| error.to_string();
    let mut meta = serde_json::to_value(&input.pod.metadata).map_err(to_json)?;
    if meta["namespace"].as_str().is_none_or(str::is_empty) {
        meta["namespace"] = input.namespace.into();
    }
    let image = annotations.image.as_ref().unwrap_or(&settings.images.proxy);
    let data = json!({
        "typeMeta": {"kind": workload.kind, "apiVersion": workload.api_version},
        "deploymentMeta": {"name": workload.name, "namespace": input.namespace},
        "objectMeta": meta,
        "spec": serde_json::to_value(&input.pod.spec).map_err(to_json)?,
        "proxyConfig": serde_json::to_value(&annotations.config).map_err(to_json)?,
        "meshConfig": serde_json::to_value(&settings.mesh).map_err(to_json)?,
        "values": *settings.values,
        "revision": settings.revision,
        "nativeSidecars": annotations.native,
        "proxyImage": image,
        "proxyUID": port::PROXY_UID,
        "proxyGID": port::PROXY_GID,
        "inboundTrafficPolicyMode": "passthrough",
        "compliancePolicy": "",
        "estimatedConcurrency": concurrency(input),
    });
    Value::from_json(&data, Shape::Struct(&DATA))
}

/// Worker threads of the proxy: as set, else as many as its CPU limit, or request, rounded up; zero if nothing says.
fn concurrency(input: &Input<'_>) -> Json {
    let resources = &input.annotations.resources;
    let quantity = resources
        .limits
        .get("cpu")
        .or_else(|| resources.requests.get("cpu"));
    let cpus = quantity.and_then(|text| match text.strip_suffix('m') {
        Some(thousandths) => thousandths
            .parse::<u64>()
            .ok()
            .map(|count| count.div_ceil(1000)),
        None => text
            .parse::<f64>()
            .ok()
            .and_then(|cpus| format!("{:.0}", cpus.ceil()).parse().ok()),
    });
    match input.annotations.config.concurrency {
        Some(set) if set > 0 => set.into(),
        _ => cpus.unwrap_or(0).into(),
    }
}
