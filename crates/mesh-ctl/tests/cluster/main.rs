//! The program against a cluster, which is a small server that keeps objects.

mod api;
mod describe;
mod injection;
mod injectors;
mod installation;

use std::path::Path;

use serde_json::{Value, json};

use api::Api;

/// A cluster with the mesh in it, and a shop that belongs to it.
fn with_a_mesh() -> Api {
    let api = Api::new();
    let (code, _, err) = api.meshctl(&["install", "--readiness-timeout", "0s", "--set", "hub=reg"]);
    assert_eq!(code, 0, "{err}");
    let namespace = |name: &str, labels: Value| {
        let labels = json!({"kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        api.put(&format!("/api/v1/namespaces/{name}"), labels);
    };
    namespace("shop", json!({"istio-injection": "enabled"}));
    namespace("plain", json!({}));
    api
}

/// A running pod of one container.
fn pod(namespace: &str, name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "uid": name},
        "spec": {"containers": [{"name": "web", "image": "web", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "web", "ready": true, "restartCount": 0, "image": "", "imageID": ""}]},
    })
}

fn put_pod(api: &Api, pod: Value) {
    let text = |pointer: &str| {
        pod.pointer(pointer)
            .and_then(Value::as_str)
            .expect("named")
            .to_owned()
    };
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    api.put(&format!("/api/v1/namespaces/{namespace}/pods/{name}"), pod);
}

/// Compares with a file beside this one, or writes it with UPDATE_GOLDEN=1.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cluster/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}

#[test]
fn the_contexts_namespace_is_meant_where_none_is_named() {
    let api = with_a_mesh();
    put_pod(&api, pod("shop", "web-1", json!({"app": "web"})));
    let check = |args: &[&str]| api.meshctl(&[&["check-inject"], args].concat());
    let (code, here, _) = check(&["web-1"]);
    assert_eq!(code, 0);
    for args in [
        &["web-1.shop"][..],
        &["pod/web-1", "-n", "shop"],
        &["web-1.shop", "--context", "there"],
        &["web-1", "--context", "there", "--namespace", "shop"],
    ] {
        assert_eq!(check(args).1, here, "{args:?}");
    }
    let (code, _, err) = check(&["web-1", "--context", "there"]);
    assert_eq!(code, 1);
    assert!(err.contains("error: there is no pod `web-1`"), "{err}");
    let (code, _, err) = check(&["web-1", "--context", "nowhere"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("nowhere") && err.contains("hint: --kubeconfig FILE"),
        "{err}"
    );
}

#[test]
fn every_request_is_made_for_who_is_named() {
    let api = with_a_mesh();
    put_pod(&api, pod("shop", "web-1", json!({"app": "web"})));
    let own = std::collections::BTreeSet::from([vec![]]);
    assert_eq!(api.impersonated(), own);
    let account = "system:serviceaccount:shop:web";
    for (args, who) in [
        (&["--as", "eve"][..], &["eve"][..]),
        (
            &["--as", account, "--as-group", "a", "--as-group=b"],
            &[account, "a", "b"],
        ),
    ] {
        let before = api.impersonated();
        let (code, _, err) = api.meshctl(&[&["check-inject", "web-1"], args].concat());
        assert_eq!(code, 0, "{err}");
        let after = api.impersonated();
        let new: Vec<_> = after.difference(&before).collect();
        assert_eq!(new, [who], "{args:?}");
    }
    let (code, _, err) = api.meshctl(&["check-inject", "web-1", "--as-group", "a"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("error: --as-group needs a user") && err.contains("hint: --as USER"),
        "{err}"
    );
}

#[test]
fn what_is_missing_is_named_and_so_is_what_is_there() {
    let api = with_a_mesh();
    put_pod(&api, pod("shop", "web-1", json!({"app": "web"})));
    put_pod(&api, pod("shop", "db-1", json!({"app": "db"})));
    let deployment = json!({"kind": "Deployment", "metadata": {"name": "idle", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "idle"}}}});
    api.put("/apis/apps/v1/namespaces/shop/deployments/idle", deployment);
    for (target, error, hint) in [
        (
            "web",
            "there is no pod `web`",
            "hint: there are: web-1.shop (",
        ),
        (
            "other.shop",
            "there is no pod `other.shop`",
            "hint: there are: db-1.shop, web-1.shop (",
        ),
        (
            "deploy/nope",
            "there is no `deploy/nope`",
            "hint: a pod is named",
        ),
        (
            "deployment/idle",
            "`deployment/idle` has no running pod",
            "hint: `kubectl describe`",
        ),
        (
            "cow/web",
            "`cow/web` is no kind of workload",
            "hint: kinds are pod, deployment",
        ),
    ] {
        let (code, out, err) = api.meshctl(&["proxy-config", "listener", target]);
        assert_eq!((code, out.as_str()), (1, ""), "{target}");
        assert!(
            err.contains(&format!("error: {error}")) && err.contains(hint),
            "{target}: {err}"
        );
    }
    api.forbid("/api/v1/namespaces/shop/pods");
    let (_, _, err) = api.meshctl(&["proxy-config", "listener", "web-1"]);
    assert!(
        err.contains("refused: ") && err.contains("not for you") && err.contains("hint: ask"),
        "{err}"
    );
}

#[test]
fn a_cluster_that_does_not_answer_is_told_from_one_that_refuses() {
    let api = Api::new();
    let text = std::fs::read_to_string(api.kubeconfig()).expect("written");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = port.local_addr().expect("bound").port();
    drop(port);
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["clusters"][0]["cluster"]["server"] = format!("http://127.0.0.1:{closed}").into();
    let file = api.file("closed", &config.to_string());
    let (code, _, err) = api.meshctl(&["-c", &file, "check-inject", "web-1"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("the API server does not answer") && err.contains("refused"),
        "{err}"
    );
    assert!(err.contains("hint: is the API server running"), "{err}");
}

#[test]
fn without_a_control_plane_the_client_still_has_a_version() {
    let api = Api::new();
    let (code, out, err) = api.meshctl(&["version"]);
    let client = env!("CARGO_PKG_VERSION");
    assert_eq!((code, out), (0, format!("client version: {client}\n")));
    assert!(
        err.contains("no ready control plane pods in namespace \"istio-system\""),
        "{err}"
    );
    let (_, out, err) = api.meshctl(&["version", "--remote=false", "-o", "json"]);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (json, err.as_str()),
        (json!({"clientVersion": {"version": client}}), "")
    );
}

#[test]
fn labels_of_a_dashboard_that_nothing_has_are_told() {
    let api = with_a_mesh();
    let (code, _, err) = api.meshctl(&["dashboard", "proxy", "-l", "app=none", "--browser=false"]);
    assert_eq!(code, 1);
    assert!(err.contains("`app=none` has no running pod"), "{err}");
}
