//! `experimental injector list`.

use serde_json::json;

use crate::{golden, pod, put_pod, with_a_mesh};

#[test]
fn namespaces_and_webhooks_are_listed() {
    let api = with_a_mesh();
    put_pod(&api, pod("shop", "outside", json!({"app": "web"})));
    let mut meshed = pod("shop", "web-1", json!({"app": "web"}));
    meshed["metadata"]["annotations"] = json!({"istio.io/rev": "default"});
    meshed["spec"]["initContainers"] =
        json!([{"name": "istio-proxy", "image": "mesh-proxy", "restartPolicy": "Always"}]);
    put_pod(&api, meshed.clone());
    meshed["metadata"]["name"] = json!("old-1");
    meshed["metadata"]["annotations"] = json!({"istio.io/rev": "old"});
    put_pod(&api, meshed);
    put_pod(
        &api,
        pod("shop", "alone", json!({"sidecar.istio.io/inject": "false"})),
    );
    let (code, out, err) = api.meshctl(&["x", "injector", "list"]);
    assert_eq!((code, err.as_str()), (0, ""));
    golden("injector-list.txt", &out);

    api.forget("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations");
    api.forget("/api/v1/namespaces/shop/pods");
    let (_, out, _) = api.meshctl(&["x", "injector", "list"]);
    assert_eq!(
        out,
        "No Istio injected namespaces present.\n\nNo Istio injection hooks present.\n"
    );
}
