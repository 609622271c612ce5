//! `experimental describe`. The proxies of this cluster cannot be reached, which is told, and keeps nothing else from being told.

use serde_json::{Value, json};

use crate::api::Api;
use crate::{golden, pod, put_pod, with_a_mesh};

fn meshed(namespace: &str, name: &str, labels: Value) -> Value {
    let mut pod = pod(namespace, name, labels);
    let proxy = json!({"name": "istio-proxy", "image": "mesh-proxy", "restartPolicy": "Always",
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}]});
    pod["spec"]["initContainers"] = json!([proxy]);
    pod["metadata"]["annotations"] = json!({"istio.io/rev": "default"});
    pod
}

fn put_service(api: &Api, name: &str, selector: Value, ports: Value) {
    let service = json!({"kind": "Service", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": selector, "ports": ports}});
    api.put(&format!("/api/v1/namespaces/shop/services/{name}"), service);
}

fn put_policy(api: &Api, namespace: &str, name: &str, spec: Value) {
    let policy = json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2024-01-01T00:00:00Z"}, "spec": spec});
    api.put(
        &format!("/apis/security.istio.io/v1/namespaces/{namespace}/peerauthentications/{name}"),
        policy,
    );
}

#[test]
fn a_pod_of_the_mesh_with_all_that_is_for_it() {
    let api = with_a_mesh();
    put_pod(
        &api,
        meshed("shop", "web-1", json!({"app": "web", "version": "v1"})),
    );
    put_service(
        &api,
        "web",
        json!({"app": "web"}),
        json!([
            {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"},
            {"name": "admin", "port": 9000, "targetPort": 9000, "protocol": "TCP"},
            {"name": "dns", "port": 53, "protocol": "UDP"},
        ]),
    );
    put_service(
        &api,
        "plain",
        json!({"app": "web"}),
        json!([{"port": 8080, "targetPort": "none"}]),
    );
    put_service(&api, "other", json!({"app": "db"}), json!([{"port": 1}]));
    put_policy(
        &api,
        "istio-system",
        "default",
        json!({"mtls": {"mode": "STRICT"}}),
    );
    put_policy(
        &api,
        "shop",
        "web",
        json!({"selector": {"matchLabels": {"app": "web"}}, "portLevelMtls": {"8080": {"mode": "PERMISSIVE"}}}),
    );
    let (code, out, err) = api.meshctl(&["x", "describe", "pod", "web-1"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("warning: what the proxy does is not known: "),
        "{err}"
    );
    golden("describe-pod.txt", &out);

    let (_, elsewhere, _) = api.meshctl(&[
        "experimental",
        "des",
        "po",
        "web-1.shop",
        "--context",
        "there",
    ]);
    assert!(elsewhere.starts_with("Pod: web-1.shop\n"), "{elsewhere}");
    assert!(elsewhere.contains("\nService: web.shop\n"), "{elsewhere}");

    let (code, out, _) = api.meshctl(&["x", "describe", "svc", "web"]);
    assert_eq!(code, 0);
    golden("describe-service.txt", &out);
}

#[test]
fn what_is_wrong_with_a_pod_is_told() {
    let api = with_a_mesh();
    let mut bare = meshed("shop", "bare", json!({}));
    bare["spec"]["securityContext"] = json!({"runAsUser": 1337});
    bare["status"]["containerStatuses"][0]["ready"] = json!(false);
    put_pod(&api, bare);
    let (_, out, _) = api.meshctl(&["x", "describe", "pod", "bare"]);
    golden("describe-bare.txt", &out);

    put_pod(&api, pod("shop", "outside", json!({"app": "web"})));
    let (_, out, err) = api.meshctl(&["x", "describe", "pod", "outside"]);
    assert_eq!(err, "");
    golden("describe-outside.txt", &out);

    let mut pending = meshed("shop", "pending", json!({"app": "web"}));
    pending["status"] = json!({"phase": "Pending"});
    put_pod(&api, pending);
    let (_, out, _) = api.meshctl(&["x", "describe", "pod", "pending"]);
    assert!(out.contains("   Pod is not Running (Pending)\n"), "{out}");
}

#[test]
fn a_service_without_the_mesh_is_told() {
    let api = with_a_mesh();
    put_service(&api, "web", json!({"app": "web"}), json!([{"port": 80}]));
    let (_, out, _) = api.meshctl(&["x", "describe", "service", "web"]);
    assert_eq!(out, "Service \"web\" has no pods.\n");
    put_pod(&api, pod("shop", "web-1", json!({"app": "web"})));
    let (_, out, err) = api.meshctl(&["x", "describe", "service", "web"]);
    assert_eq!(
        out,
        "Service \"web\" has no Istio pods.  (1 pods in service).\n"
    );
    assert!(
        err.contains("hint: `meshctl check-inject svc/web`"),
        "{err}"
    );
    let (code, _, err) = api.meshctl(&["x", "describe", "service", "nope"]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no `service/nope`"), "{err}");
}
