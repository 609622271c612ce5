//! Pods that nobody would write: injection refuses them or injects them, but never panics, and what it injects can be
//! injected again.

use mesh_injector::{NamespaceFacts, Outcome, Settings, inject_json, kube_inject};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Values around those that the injector looks for.
fn odd() -> impl Strategy<Value = Value> {
    let container = json!({"name": "istio-proxy", "image": "auto", "env": [{"name": "ISTIO_KUBE_APP_PROBERS", "value": "{"}]});
    let probe =
        json!({"httpGet": {"path": "/app-health/app/livez", "port": 15020}, "timeoutSeconds": "x"});
    let status = r#"{"containers":["app","istio-proxy"],"volumes":null}"#;
    prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        Just(json!("true")),
        Just(json!("0")),
        Just(json!("*")),
        Just(json!(-1)),
        Just(json!([[]])),
        Just(json!([{}])),
        Just(json!([null])),
        Just(json!([container.clone(), container])),
        Just(json!({"tcpSocket": {"port": "web"}})),
        Just(json!({"grpc": {"port": 70000}})),
        Just(probe),
        Just(json!(status)),
        Just(json!(r#"{"containers":[{"name":"istio-proxy","env":{}}]}"#)),
        "\\PC{0,8}".prop_map(Value::from),
    ]
}

/// Places in a pod that the injector reads or writes.
fn place() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/metadata",
        "/metadata/labels",
        "/metadata/labels/app",
        "/metadata/annotations",
        "/metadata/annotations/sidecar.istio.io~1status",
        "/metadata/annotations/proxy.istio.io~1overrides",
        "/metadata/annotations/proxy.istio.io~1config",
        "/metadata/annotations/prometheus.io~1port",
        "/metadata/annotations/sidecar.istio.io~1nativeSidecar",
        "/metadata/annotations/status.sidecar.istio.io~1port",
        "/metadata/ownerReferences",
        "/spec",
        "/spec/containers",
        "/spec/initContainers",
        "/spec/volumes",
        "/spec/imagePullSecrets",
        "/spec/securityContext",
        "/spec/containers/0/ports",
        "/spec/containers/0/livenessProbe",
        "/spec/containers/0/lifecycle",
        "/spec/containers/0/env",
    ])
}

fn pods() -> impl Strategy<Value = Value> {
    prop::collection::vec((place(), odd()), 0..5).prop_map(|changes| {
        let mut pod = json!({
            "metadata": {"name": "p", "labels": {"app": "a"}, "annotations": {"prometheus.io/port": "9090"}},
            "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 80, "name": "web"}],
                "readinessProbe": {"httpGet": {"port": "web"}}}]},
        });
        for (place, value) in changes {
            set(&mut pod, place, value);
        }
        pod
    })
}

/// Sets the value at `place` if its parent can hold it.
fn set(pod: &mut Value, place: &str, value: Value) {
    let (parent, key) = place.rsplit_once('/').expect("a pointer");
    if let Some(parent) = pod.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.insert(key.replace("~1", "/"), value);
    }
}

fn injected(pod: &Value) -> Option<Value> {
    match inject_json(pod, &NamespaceFacts::named("test"), &Settings::default()) {
        Ok(Outcome::Injected(injected)) => {
            let mut patched = pod.clone();
            json_patch::patch(&mut patched, &injected.patch).expect("the patch fits its pod");
            assert_eq!(patched, injected.pod);
            Some(injected.pod)
        }
        Ok(Outcome::Skipped(_)) => None,
        Err(invalid) => {
            assert!(!invalid.problems.is_empty(), "a refusal says why");
            None
        }
    }
}

/// The one document of `text`; the order of its keys does not count.
fn read(text: &str) -> Value {
    mesh_api::yaml::from_str(text).expect("what is written reads back")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pod_brings_the_injector_down(pod in pods()) {
        if let Some(once) = injected(&pod) {
            prop_assert_eq!(injected(&once), Some(once), "{}", pod);
        }
    }

    #[test]
    fn no_manifest_brings_kube_inject_down(pod in pods(), kind in prop::sample::select(vec!["Pod", "Deployment", "CronJob", "List"])) {
        let group = match kind { "Deployment" => "apps/v1", "CronJob" => "batch/v1", _ => "v1" };
        let object = match kind {
            "Pod" => pod,
            "List" => json!({"items": [pod, null]}),
            _ => json!({"spec": {"template": pod.clone(), "jobTemplate": {"spec": {"template": pod}}}}),
        };
        let mut object = object;
        if let Some(fields) = object.as_object_mut() {
            fields.insert("kind".into(), kind.into());
            fields.insert("apiVersion".into(), group.into());
        }
        if let Ok(once) = kube_inject(&object.to_string(), &Settings::default()) {
            let twice = kube_inject(&once.text, &Settings::default()).expect("what was injected can be injected");
            prop_assert_eq!(read(&once.text), read(&twice.text));
        }
    }
}
