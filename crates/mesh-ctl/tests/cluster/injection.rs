//! `check-inject` and `kube-inject` with the settings that a cluster keeps.

use serde_json::json;

use crate::{golden, pod, put_pod, with_a_mesh};

#[test]
fn a_pod_a_workload_and_labels_are_checked() {
    let api = with_a_mesh();
    put_pod(&api, pod("plain", "web-1", json!({"app": "web"})));
    let deployment = json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"hostNetwork": true, "containers": []}}}});
    api.put("/apis/apps/v1/namespaces/shop/deployments/web", deployment);

    let (code, out, err) = api.meshctl(&["check-inject", "-l", "app=web,version=v1"]);
    assert_eq!((code, err.as_str()), (0, ""));
    golden("check-labels.txt", &out);
    let (_, experimental, _) = api.meshctl(&["x", "check-inject", "-l", "app=web,version=v1"]);
    assert_eq!(experimental, out);

    let (code, out, err) = api.meshctl(&["check-inject", "web-1.plain"]);
    assert_eq!(code, 0);
    golden("check-unlabelled.txt", &out);
    assert!(
        err.contains("hint: `kubectl label namespace plain istio-injection=enabled`"),
        "{err}"
    );

    // There is no pod of it, and still it is known what one would get.
    let (code, out, _) = api.meshctl(&["check-inject", "deploy/web"]);
    assert_eq!(code, 0);
    golden("check-host-network.txt", &out);

    for args in [
        &["check-inject"][..],
        &["check-inject", "-l", "app"],
        &["check-inject", "a", "-l", "b=c"],
    ] {
        assert_eq!(api.meshctl(args).0, 64, "{args:?}");
    }
}

#[test]
fn a_pod_that_is_older_than_its_label_is_told_to_restart() {
    let api = with_a_mesh();
    put_pod(&api, pod("shop", "web-1", json!({"app": "web"})));
    let (_, out, err) = api.meshctl(&["check-inject", "web-1"]);
    assert!(out.contains("✔"), "{out}");
    assert!(err.contains("hint: the pod itself has no sidecar"), "{err}");
}

#[test]
fn two_revisions_are_two_rows() {
    let api = with_a_mesh();
    let canary = [
        "install",
        "--readiness-timeout",
        "0s",
        "-r",
        "canary",
        "--set",
        "tags=[\"prod\"]",
    ];
    assert_eq!(api.meshctl(&canary).0, 0);
    let (_, out, _) = api.meshctl(&["check-inject", "-l", "istio.io/rev=prod", "-n", "plain"]);
    golden("check-revisions.txt", &out);
}

#[test]
fn the_label_that_helps_is_that_of_a_revision_that_is_there() {
    let api = crate::api::Api::new();
    api.put(
        "/api/v1/namespaces/shop",
        json!({"metadata": {"name": "shop"}}),
    );
    let canary = ["install", "--readiness-timeout", "0s", "-r", "canary"];
    let (_, out, _) = api.meshctl(&canary);
    assert!(
        out.contains("kubectl label namespace NAME istio.io/rev=canary "),
        "{out}"
    );
    let (_, _, err) = api.meshctl(&["check-inject", "-l", "app=web"]);
    assert!(
        err.contains("hint: `kubectl label namespace shop istio.io/rev=canary`"),
        "{err}"
    );
}

#[test]
fn without_webhooks_there_is_nothing_to_check() {
    let api = crate::api::Api::new();
    api.put(
        "/api/v1/namespaces/shop",
        json!({"metadata": {"name": "shop"}}),
    );
    let (code, out, err) = api.meshctl(&["check-inject", "-l", "app=web"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "ERROR: no Istio injection hooks present.\n")
    );
    assert!(err.contains("hint: `meshctl install`"), "{err}");
}

#[test]
fn kube_inject_takes_what_is_installed() {
    let api = with_a_mesh();
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: a\n    image: a\n";
    let file = api.file("pod.yaml", manifest);
    let image = format!("image: reg/mesh-proxy:{}", env!("CARGO_PKG_VERSION"));
    let (code, out, err) = api.meshctl(&["kube-inject", "-f", &file]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(&image), "{out}");
    // There is no node, so none is too old: but it is not known either.
    assert!(!out.contains("restartPolicy: Always"), "{out}");

    put_a_new_node(&api);
    let (_, out, _) = api.meshctl(&["kube-inject", "-f", &file]);
    assert!(out.contains("restartPolicy: Always"), "{out}");

    // A file instead of the cluster.
    let values = api.file("values.json", "{\"global\": {\"hub\": \"other\"}}");
    let (code, out, _) = api.meshctl(&["kube-inject", "-f", &file, "--valuesFile", &values]);
    assert_eq!(code, 0);
    assert!(out.contains("image: other/"), "{out}");

    let (code, _, err) = api.meshctl(&["kube-inject", "-f", &file, "-r", "canary"]);
    assert_eq!(code, 1);
    assert!(
        err.contains(
            "config map istio-sidecar-injector-canary of namespace istio-system does not exist"
        ),
        "{err}"
    );
    assert!(err.contains("hint: files do without a cluster"), "{err}");
    let names = ["kube-inject", "-f", &file, "--injectConfigMapName", "istio"];
    let (_, _, err) = api.meshctl(&names);
    assert!(
        err.contains("config map istio of namespace istio-system has no key `config`"),
        "{err}"
    );
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: a\n    image: a\n    ports:\n    - containerPort: 80\n";

fn put_a_new_node(api: &crate::api::Api) {
    let node = json!({"metadata": {"name": "n"}, "status": {"nodeInfo": {"kubeletVersion": "v1.34.1",
        "architecture": "", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "",
        "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": ""}}});
    api.put("/api/v1/nodes/n", node);
}

#[test]
fn kube_inject_decides_as_the_webhook_was_started() {
    let api = with_a_mesh();
    put_a_new_node(&api);
    let file = api.file("pod.yaml", POD);
    let inject = || api.meshctl(&["kube-inject", "-f", &file]).1;
    let out = inject();
    assert!(out.contains("restartPolicy: Always"), "{out}");
    assert!(out.contains("seconds: 5"), "{out}");

    let set = |settings: &[&str]| {
        let mut install = vec!["install", "--readiness-timeout", "0s"];
        settings
            .iter()
            .for_each(|set| install.extend(["--set", set]));
        let (code, _, err) = api.meshctl(&install);
        assert_eq!(code, 0, "{err}");
    };
    set(&[
        "values.pilot.env.ENABLE_NATIVE_SIDECARS=false",
        "values.pilot.env.PRE_STOP_SLEEP_SECONDS=0",
    ]);
    let out = inject();
    assert!(!out.contains("restartPolicy: Always"), "{out}");
    assert!(!out.contains("sleep:"), "{out}");

    let user = api.file(
        "user.yaml",
        &format!("{POD}    securityContext: {{runAsUser: 1337}}\n"),
    );
    let (code, _, err) = api.meshctl(&["kube-inject", "-f", &user]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("warning: ") && err.contains("1337"), "{err}");
    set(&["injector.arguments=[\"--proxy-user=refuse\"]"]);
    assert_eq!(api.meshctl(&["kube-inject", "-f", &user]).0, 65);
    put_pod(&api, {
        let mut pod = pod("shop", "web-1", json!({}));
        pod["spec"]["containers"][0]["securityContext"] = json!({"runAsUser": 1337});
        pod
    });
    let (_, out, _) = api.meshctl(&["check-inject", "web-1.shop"]);
    assert!(out.contains("the pod is refused: "), "{out}");

    // Who may not see how it was started is told what is taken instead.
    api.forbid("/apis/apps/v1/namespaces/istio-system");
    let (code, _, err) = api.meshctl(&["kube-inject", "-f", &file]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("warning: the defaults are taken for what the injector was started with"),
        "{err}"
    );
}

#[test]
fn the_webhook_to_ask_may_be_named() {
    let api = with_a_mesh();
    let file = api.file("pod.yaml", POD);
    let canary = [
        "install",
        "--readiness-timeout",
        "0s",
        "-r",
        "canary",
        "--set",
        "tags=[\"prod\"]",
        "--set",
        "values.sidecarInjectorWebhook.injectionPath=/inject/cluster/far",
        "-i",
        "elsewhere",
    ];
    let (code, _, err) = api.meshctl(&canary);
    assert_eq!(code, 0, "{err}");
    let named = "istio-revision-tag-prod-elsewhere";
    let (code, out, err) = api.meshctl(&["kube-inject", "-f", &file, "--webhookConfig", named]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("istiod-canary.elsewhere.svc:15012"), "{out}");
    assert!(out.contains("value: far"), "{out}");

    let (code, _, err) = api.meshctl(&["kube-inject", "-f", &file, "--webhookConfig", "none"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("error: there is no MutatingWebhookConfiguration `none`")
            && err.contains(
                "hint: there are: istio-revision-tag-prod-elsewhere, istio-sidecar-injector,"
            ),
        "{err}"
    );
}

#[test]
fn options_of_an_installation_stand_for_one() {
    let api = crate::api::Api::new();
    let file = api.file("pod.yaml", POD);
    let options = "hub: there\nvalues: {pilot: {env: {ENABLE_NATIVE_SIDECARS: true}}}\n";
    let options = api.file("options.yaml", options);
    let inject = ["kube-inject", "-f", &file, "--operatorFileName", &options];
    let (code, out, err) = api.meshctl(&inject);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("image: there/mesh-proxy:"), "{out}");
    assert!(out.contains("restartPolicy: Always"), "{out}");
}
