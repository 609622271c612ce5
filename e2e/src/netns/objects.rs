//! The objects an API server would hold, as files that mesh-discovery watches.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// A folder of objects, one a file.
pub(crate) struct Objects {
    folder: PathBuf,
}

impl Objects {
    /// An empty folder.
    pub(crate) fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Creates or replaces an object.
    pub(crate) fn put(&self, object: &Value) -> Result<()> {
        let path = self.path(object);
        let fresh = path.with_extension("new");
        fs::write(&fresh, mesh_api::yaml::to_string(object))?;
        // A reader sees the old object or the new one, never half of either.
        fs::rename(&fresh, &path).with_context(|| path.display().to_string())
    }

    /// Removes an object.
    pub(crate) fn delete(&self, object: &Value) -> Result<()> {
        let path = self.path(object);
        fs::remove_file(&path).with_context(|| path.display().to_string())
    }

    fn path(&self, object: &Value) -> PathBuf {
        let part = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("-")
        };
        let (kind, namespace, name) = (
            part("/kind"),
            part("/metadata/namespace"),
            part("/metadata/name"),
        );
        self.folder
            .join(format!("{}-{namespace}-{name}.yaml", kind.to_lowercase()))
    }
}

/// The pod of a Deployment, as the controllers would make it; `suffix` is what they would draw by lot.
pub(crate) fn pod_of(deployment: &Value, hash: &str, suffix: &str) -> Value {
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let template = &deployment["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": template["metadata"].clone(),
        "spec": template["spec"].clone(),
    });
    let meta = &mut pod["metadata"];
    meta["name"] = format!("{name}-{hash}-{suffix}").into();
    meta["namespace"] = deployment["metadata"]["namespace"].clone();
    meta["labels"]["pod-template-hash"] = hash.into();
    meta["ownerReferences"] = json!([{
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": format!("{name}-{hash}"),
        "uid": "00000000-0000-0000-0000-000000000000",
        "controller": true,
    }]);
    // As the scheduler would.
    pod["spec"]["nodeName"] = "node".into();
    if pod["spec"]["serviceAccountName"].is_null() {
        pod["spec"]["serviceAccountName"] = "default".into();
    }
    pod
}

/// An endpoint of a Service.
pub(crate) struct Backend<'a> {
    /// The pod.
    pub(crate) pod: &'a Value,
    /// Its address.
    pub(crate) address: Ipv4Addr,
    /// Whether it takes traffic.
    pub(crate) ready: bool,
}

/// The EndpointSlice of `service` for those of `backends` that it selects.
pub(crate) fn endpoint_slice(service: &Value, backends: &[Backend<'_>]) -> Value {
    let meta = &service["metadata"];
    let name = meta["name"].as_str().unwrap_or_default();
    let selected = backends.iter().filter(|b| selects(service, b.pod));
    let endpoints: Vec<_> = selected
        .map(|backend| {
            json!({
                "addresses": [backend.address.to_string()],
                "conditions": {"ready": backend.ready, "serving": backend.ready, "terminating": false},
                "targetRef": {
                    "kind": "Pod",
                    "name": backend.pod["metadata"]["name"],
                    "namespace": backend.pod["metadata"]["namespace"],
                },
            })
        })
        .collect();
    let ports = service["spec"]["ports"].as_array().into_iter().flatten().map(|port| {
        let target = if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
        json!({"name": port["name"].as_str().unwrap_or_default(), "port": target, "protocol": "TCP"})
    });
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{name}-0"),
            "namespace": meta["namespace"],
            "labels": {mesh_model::annotation::SLICE_SERVICE_NAME: name},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports.collect::<Vec<_>>(),
    })
}

fn selects(service: &Value, pod: &Value) -> bool {
    let same_namespace = service["metadata"]["namespace"] == pod["metadata"]["namespace"];
    let selector = service["spec"]["selector"].as_object();
    let labels = &pod["metadata"]["labels"];
    same_namespace
        && selector.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_gets_the_endpoints_it_selects() {
        let service = json!({
            "metadata": {"name": "a", "namespace": "n"},
            "spec": {"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": 8080, "name": "http"}, {"port": 81}]},
        });
        let pod = |namespace: &str, app: &str| json!({"metadata": {"name": app, "namespace": namespace, "labels": {"app": app}}});
        let pods = [pod("n", "a"), pod("m", "a"), pod("n", "b")];
        let backends = pods.iter().map(|pod| Backend {
            pod,
            address: Ipv4Addr::LOCALHOST,
            ready: false,
        });
        let slice = endpoint_slice(&service, &backends.collect::<Vec<_>>());
        assert_eq!(slice["endpoints"].as_array().map(Vec::len), Some(1));
        assert_eq!(slice["endpoints"][0]["conditions"]["ready"], false);
        assert_eq!(
            slice["ports"][0],
            json!({"name": "http", "port": 8080, "protocol": "TCP"})
        );
        assert_eq!(slice["ports"][1]["port"], 81);
    }
}
