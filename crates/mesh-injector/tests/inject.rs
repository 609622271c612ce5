//! Injection as a webhook does it: one pod as JSON in, a patch out.

use mesh_injector::{
    Injected, NamespaceFacts, Outcome, Settings, SidecarStatus, Skip, inject, inject_json,
};
use serde_json::{Value, json};

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "nginx-7c79c4bf97-",
            "labels": {"app": "nginx", "pod-template-hash": "7c79c4bf97"},
            "managedFields": [{"manager": "x"}],
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "nginx-7c79c4bf97", "uid": "u", "controller": true,
            }],
        },
        "spec": {
            "containers": [{
                "name": "nginx",
                "image": "nginx",
                "readinessProbe": {"httpGet": {"port": 80, "futureProbeField": 1}},
                "futureField": {"deep": [1, {"a": null}]},
            }],
            "futureList": ["x"],
            "nodeSelector": {},
        },
    })
}

fn injected(pod: &Value, settings: &Settings) -> Injected {
    match inject_json(pod, &NamespaceFacts::named("test"), settings) {
        Ok(Outcome::Injected(injected)) => *injected,
        other => panic!("not injected: {other:?}"),
    }
}

fn holding() -> Settings {
    let mut settings = Settings::default();
    settings
        .mesh
        .default_config
        .hold_application_until_proxy_starts = true;
    settings
}

fn container<'a>(pod: &'a Value, list: &str, name: &str) -> &'a Value {
    let list = pod["spec"][list].as_array().expect("a list of containers");
    list.iter()
        .find(|container| container["name"] == name)
        .expect("the container")
}

fn names(pod: &Value, list: &str) -> Vec<String> {
    let items = pod["spec"][list].as_array().into_iter().flatten();
    items
        .map(|item| item["name"].as_str().expect("a name").to_owned())
        .collect()
}

fn env<'a>(container: &'a Value, name: &str) -> &'a Value {
    let variables = container["env"].as_array().expect("an environment");
    &variables
        .iter()
        .find(|variable| variable["name"] == name)
        .expect("the variable")["value"]
}

/// Applies a patch by the rules of RFC 6902, independently of how it was made.
fn apply(pod: &Value, patch: &json_patch::Patch) -> Value {
    let mut patched = pod.clone();
    let wire = serde_json::to_string(patch).expect("a patch has a JSON form");
    let read: json_patch::Patch = serde_json::from_str(&wire).expect("what is written reads back");
    json_patch::patch(&mut patched, &read).expect("the patch fits the pod");
    patched
}

#[test]
fn the_patch_turns_the_pod_into_the_injected_one() {
    let native = Settings {
        native_sidecars: true,
        ..Settings::default()
    };
    for settings in [Settings::default(), holding(), native] {
        let injected = injected(&pod(), &settings);
        assert_eq!(apply(&pod(), &injected.patch), injected.pod);
    }
}

#[test]
fn fields_that_this_version_does_not_know_survive_wherever_the_proxy_stands() {
    for settings in [Settings::default(), holding()] {
        let pod = injected(&pod(), &settings).pod;
        let nginx = container(&pod, "containers", "nginx");
        assert_eq!(nginx["futureField"], json!({"deep": [1, {"a": null}]}));
        assert_eq!(
            container(&pod, "containers", "istio-proxy").get("futureField"),
            None
        );
        assert_eq!(
            (&pod["spec"]["futureList"], &pod["spec"]["nodeSelector"]),
            (&json!(["x"]), &json!({}))
        );
        assert_eq!(pod["metadata"]["managedFields"], json!([{"manager": "x"}]));
        let probers = env(
            container(&pod, "containers", "istio-proxy"),
            "ISTIO_KUBE_APP_PROBERS",
        );
        assert!(
            probers
                .as_str()
                .is_some_and(|text| text.contains("futureProbeField")),
            "{probers}"
        );
    }
}

#[test]
fn the_pod_of_a_deployment_names_the_deployment() {
    let pod = injected(&pod(), &Settings::default()).pod;
    let proxy = container(&pod, "containers", "istio-proxy");
    assert_eq!(env(proxy, "ISTIO_META_WORKLOAD_NAME"), "nginx");
    assert_eq!(
        env(proxy, "ISTIO_META_OWNER"),
        "kubernetes://apis/apps/v1/namespaces/test/deployments/nginx"
    );
}

#[test]
fn containers_stand_in_the_order_of_their_mode() {
    let mut base = pod();
    base["spec"]["initContainers"] = json!([{"name": "mine", "image": "x"}]);
    let classic = injected(&base, &Settings::default()).pod;
    assert_eq!(names(&classic, "initContainers"), ["mine", "istio-init"]);
    assert_eq!(names(&classic, "containers"), ["nginx", "istio-proxy"]);

    let held = injected(&base, &holding()).pod;
    assert_eq!(names(&held, "containers"), ["istio-proxy", "nginx"]);
    let hook =
        &container(&held, "containers", "istio-proxy")["lifecycle"]["postStart"]["exec"]["command"];
    assert_eq!(hook, &json!(["pilot-agent", "wait"]));

    let native = injected(
        &base,
        &Settings {
            native_sidecars: true,
            ..holding()
        },
    )
    .pod;
    assert_eq!(
        names(&native, "initContainers"),
        ["istio-init", "istio-proxy", "mine"]
    );
    assert_eq!(names(&native, "containers"), ["nginx"]);
    let proxy = container(&native, "initContainers", "istio-proxy");
    assert_eq!(
        (&proxy["restartPolicy"], proxy["lifecycle"].get("postStart")),
        (&json!("Always"), None)
    );
}

#[test]
fn injecting_again_gives_what_the_last_settings_give() {
    let native = Settings {
        native_sidecars: true,
        ..Settings::default()
    };
    let secret = Settings {
        image_pull_secrets: vec!["registry".into()],
        ..holding()
    };
    let mut no_merge = Settings {
        rewrite_app_probes: false,
        ..Settings::default()
    };
    no_merge.mesh.enable_prometheus_merge = false;
    let all = [Settings::default(), native, secret, no_merge];
    for first in &all {
        for second in &all {
            let once = injected(&pod(), second).pod;
            let again = injected(&injected(&pod(), first).pod, second);
            assert_eq!(again.pod, once, "after {first:?}");
        }
        let once = injected(&pod(), first).pod;
        assert!(
            injected(&once, first).patch.0.is_empty(),
            "the second patch should be empty"
        );
    }
}

#[test]
fn the_status_records_what_was_added() {
    let settings = Settings {
        image_pull_secrets: vec!["own".into(), "registry".into()],
        ..Settings::default()
    };
    let mut base = pod();
    base["spec"]["imagePullSecrets"] = json!([{"name": "own"}]);
    let pod = injected(&base, &settings).pod;
    let text = pod["metadata"]["annotations"]["sidecar.istio.io/status"]
        .as_str()
        .expect("a status");
    let status: SidecarStatus = serde_json::from_str(text).expect("a status");
    let list = |names: &[&str]| {
        Some(
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(status.init_containers, list(&["istio-init"]));
    assert_eq!(status.containers, list(&["istio-proxy"]));
    assert_eq!(status.image_pull_secrets, list(&["registry"]));
    assert_eq!(status.volumes.as_ref(), Some(&names(&pod, "volumes")));
}

#[test]
fn without_capture_there_is_no_init_container() {
    let mut base = pod();
    base["metadata"]["annotations"] = json!({"sidecar.istio.io/interceptionMode": "NONE"});
    let pod = injected(&base, &Settings::default()).pod;
    assert_eq!(pod["spec"].get("initContainers"), None);
    assert_eq!(
        env(
            container(&pod, "containers", "istio-proxy"),
            "ISTIO_META_INTERCEPTION_MODE"
        ),
        "NONE"
    );
}

#[test]
fn without_an_agent_there_are_no_probes_and_nothing_is_rewritten() {
    let mut base = pod();
    base["metadata"]["annotations"] = json!({"status.sidecar.istio.io/port": "0"});
    let pod = injected(&base, &Settings::default()).pod;
    let proxy = container(&pod, "containers", "istio-proxy");
    assert!(proxy.get("readinessProbe").is_none() && proxy.get("startupProbe").is_none());
    assert_eq!(
        container(&pod, "containers", "nginx")["readinessProbe"]["httpGet"]["port"],
        80
    );
    assert_eq!(
        container(&pod, "initContainers", "istio-init")["args"][16],
        "15090,15021"
    );
}

#[test]
fn a_typed_pod_is_injected_alike() {
    let typed =
        serde_json::from_value(json!({"spec": {"containers": [{"name": "a"}]}})).expect("a pod");
    let outcome =
        inject(&typed, &NamespaceFacts::named("test"), &Settings::default()).expect("injected");
    let Outcome::Injected(injected) = outcome else {
        panic!("skipped: {outcome:?}")
    };
    assert_eq!(names(&injected.pod, "containers"), ["a", "istio-proxy"]);
    let skipped = inject(
        &typed,
        &NamespaceFacts::named("kube-system"),
        &Settings::default(),
    );
    assert_eq!(
        skipped,
        Ok(Outcome::Skipped(Skip::IgnoredNamespace(
            "kube-system".into()
        )))
    );
}

#[test]
fn what_is_no_pod_is_refused_and_never_panics() {
    let rows = [
        (json!(null), "pod: invalid type: null"),
        (json!([]), "pod: invalid type: sequence"),
        (json!({}), "spec: required, but missing"),
        (
            json!({"metadata": {"annotations": {"sidecar.istio.io/status": "{}"}}}),
            "spec: required, but missing",
        ),
        (json!({"spec": null}), "spec: required, but missing"),
        (
            json!({"kind": "Service"}),
            "pod: invalid value: string \"Service\"",
        ),
        (
            json!({"spec": {"containers": {}}}),
            "spec.containers: invalid type: map",
        ),
        (
            json!({"metadata": {"labels": []}, "spec": {}}),
            "metadata.labels: invalid type",
        ),
        (
            json!({"metadata": {"annotations": {"sidecar.istio.io/status": "x"}}, "spec": {}}),
            "metadata.annotations[sidecar.istio.io/status]: ",
        ),
    ];
    for (pod, expected) in rows {
        match inject_json(&pod, &NamespaceFacts::named("test"), &Settings::default()) {
            Err(invalid) => assert!(invalid.to_string().contains(expected), "{pod}: {invalid}"),
            Ok(_) => panic!("{pod} was accepted"),
        }
    }
}

#[test]
fn nothing_but_a_native_proxy_is_no_pod() {
    let mut base = pod();
    base["spec"]["containers"] = json!([{"name": "istio-proxy", "image": "auto"}]);
    let classic = injected(&base, &Settings::default()).pod;
    assert_eq!(names(&classic, "containers"), ["istio-proxy"]);
    base["metadata"]["annotations"] = json!({"sidecar.istio.io/nativeSidecar": "true"});
    let invalid = inject_json(&base, &NamespaceFacts::named("test"), &Settings::default());
    let message = invalid.expect_err("no container is left").to_string();
    assert!(
        message.starts_with("spec.containers: nothing is left") && message.contains("hint: "),
        "{message}"
    );
}

#[test]
fn what_the_user_sets_for_the_proxy_replaces_its_variables() {
    let mut settings = Settings::default();
    settings
        .environment
        .insert("ISTIO_META_REGION".into(), "r2".into());
    let mut base = pod();
    base["metadata"]["annotations"] = json!({"proxy.istio.io/config":
        "proxyMetadata: {ISTIO_META_CLUSTER_ID: own, ISTIO_META_REGION: r1, ISTIO_KUBE_APP_PROBERS: x}"});
    let pod = injected(&base, &settings).pod;
    let proxy = container(&pod, "containers", "istio-proxy");
    let mut variables: Vec<&str> = proxy["env"]
        .as_array()
        .expect("variables")
        .iter()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    assert_eq!(env(proxy, "ISTIO_META_CLUSTER_ID"), "own");
    assert_eq!(env(proxy, "ISTIO_META_REGION"), "r2");
    assert!(
        env(proxy, "ISTIO_KUBE_APP_PROBERS")
            .as_str()
            .is_some_and(|text| text.contains("readyz"))
    );
    let count = variables.len();
    variables.sort_unstable();
    variables.dedup();
    assert_eq!(variables.len(), count, "each once: {variables:?}");
}

#[test]
fn users_count_where_the_rules_do() {
    let proxy_user = json!({"runAsUser": 1337});
    let mut base = pod();
    base["spec"]["initContainers"] = json!([
        {"name": "once", "image": "x", "securityContext": proxy_user},
        {"name": "stays", "image": "x", "restartPolicy": "Always", "securityContext": proxy_user},
    ]);
    let warned = |native: bool| {
        let settings = Settings {
            native_sidecars: native,
            ..Settings::default()
        };
        injected(&base, &settings).warnings
    };
    assert_eq!(warned(false).len(), 1, "the rules come after `once`");
    assert!(warned(false)[0].starts_with("spec.initContainers[1].securityContext.runAsUser"));
    assert_eq!(warned(true).len(), 2);
}

#[test]
fn the_pods_own_network_is_the_proxys() {
    let settings = Settings {
        network: "n1".into(),
        ..Settings::default()
    };
    let network = |pod: &Value| {
        let pod = injected(pod, &settings).pod;
        let own = pod["metadata"]["labels"]["topology.istio.io/network"].clone();
        (
            own,
            env(
                container(&pod, "containers", "istio-proxy"),
                "ISTIO_META_NETWORK",
            )
            .clone(),
        )
    };
    let mut base = pod();
    assert_eq!(network(&base), (json!("n1"), json!("n1")));
    base["metadata"]["labels"]["topology.istio.io/network"] = "n2".into();
    assert_eq!(network(&base), (json!("n2"), json!("n2")));
}

#[test]
fn kinds_of_images_and_volumes_of_the_user_are_the_proxys() {
    let mut base = pod();
    base["metadata"]["annotations"] = json!({
        "sidecar.istio.io/proxyImageType": "debug",
        "sidecar.istio.io/userVolume": r#"{"extra": {"secret": {"secretName": "s"}}}"#,
        "sidecar.istio.io/userVolumeMount": r#"{"extra": {"mountPath": "/extra"}}"#,
    });
    let once = injected(&base, &Settings::default());
    let proxy = container(&once.pod, "containers", "istio-proxy");
    assert!(
        proxy["image"]
            .as_str()
            .is_some_and(|image| image.ends_with("-debug")),
        "{}",
        proxy["image"]
    );
    let mounts = proxy["volumeMounts"].as_array().expect("mounts");
    assert_eq!(
        mounts.last(),
        Some(&json!({"mountPath": "/extra", "name": "extra"}))
    );
    assert_eq!(
        names(&once.pod, "volumes").last().map(String::as_str),
        Some("extra")
    );
    assert_eq!(injected(&once.pod, &Settings::default()).pod, once.pod);
    assert!(once.warnings.is_empty(), "{:?}", once.warnings);
}

#[test]
fn where_a_cni_plugin_sets_the_rules_pods_only_verify_them() {
    let cni = |native: bool| Settings {
        cni: true,
        native_sidecars: native,
        ..Settings::default()
    };
    let mut base = pod();
    base["spec"]["initContainers"] = json!([{"name": "mine", "image": "x"}]);
    let classic = injected(&base, &cni(false)).pod;
    assert_eq!(
        names(&classic, "initContainers"),
        ["istio-validation", "mine"]
    );
    let native = injected(&base, &cni(true)).pod;
    assert_eq!(
        names(&native, "initContainers"),
        ["istio-validation", "istio-proxy", "mine"]
    );
    let plain = injected(&base, &Settings::default()).pod;
    let mut args = container(&plain, "initContainers", "istio-init")["args"].clone();
    args.as_array_mut()
        .expect("arguments")
        .extend([json!("--run-validation"), json!("--skip-rule-apply")]);
    let validation = container(&classic, "initContainers", "istio-validation");
    assert_eq!(validation["args"], args);
    assert_eq!(
        validation["securityContext"],
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "privileged": false,
            "readOnlyRootFilesystem": true, "runAsGroup": 1337, "runAsNonRoot": true, "runAsUser": 1337})
    );
    let told = &classic["metadata"]["annotations"];
    assert_eq!(
        told["traffic.sidecar.istio.io/excludeInboundPorts"],
        "15020"
    );
    assert_eq!(
        told["traffic.sidecar.istio.io/includeOutboundIPRanges"],
        "*"
    );
    assert_eq!(told["sidecar.istio.io/interceptionMode"], "REDIRECT");
    for settings in [cni(false), cni(true)] {
        let once = injected(&base, &settings).pod;
        assert_eq!(injected(&once, &settings).pod, once);
    }
}

#[test]
fn the_pods_own_node_decides_about_native_sidecars() {
    let settings = Settings {
        kubelets: std::sync::Arc::new([("n1".to_owned(), true)].into()),
        ..Settings::default()
    };
    let mut base = pod();
    assert_eq!(
        names(&injected(&base, &settings).pod, "containers"),
        ["nginx", "istio-proxy"]
    );
    base["spec"]["nodeName"] = "n1".into();
    assert_eq!(
        names(&injected(&base, &settings).pod, "containers"),
        ["nginx"]
    );
}
