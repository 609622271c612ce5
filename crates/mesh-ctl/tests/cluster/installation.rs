//! `install` and `uninstall`.

use serde_json::{Value, json};

use crate::api::Api;

const INSTALL: [&str; 3] = ["install", "--readiness-timeout", "0s"];

#[test]
fn the_second_time_nothing_changes() {
    let api = Api::new();
    let (code, out, err) = api.meshctl(&INSTALL);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("applied revision default in namespace istio-system"),
        "{out}"
    );
    let lines = |err: &str, word: &str| err.lines().filter(|line| line.ends_with(word)).count();
    let objects = api.paths().len();
    assert_eq!(lines(&err, " created"), objects, "{err}");

    let (_, _, err) = api.meshctl(&INSTALL);
    assert_eq!(lines(&err, " unchanged"), objects, "{err}");

    let (_, _, err) = api.meshctl(&[&INSTALL[..], &["--set", "discovery.replicas=3"]].concat());
    assert_eq!(
        (lines(&err, " configured"), lines(&err, " unchanged")),
        (1, objects - 1),
        "{err}"
    );
    assert!(err.contains("Deployment/istiod configured"), "{err}");
}

#[test]
fn a_dry_run_changes_nothing() {
    let api = Api::new();
    let (code, out, err) = api.meshctl(&["install", "--dry-run"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "nothing was changed (--dry-run)\n"),
        "{err}"
    );
    assert!(err.contains("Deployment/istiod created"), "{err}");
    assert_eq!(api.paths(), [""; 0]);
}

#[test]
fn purging_leaves_nothing() {
    let api = Api::new();
    assert_eq!(api.meshctl(&INSTALL).0, 0);
    let (code, _, err) = api.meshctl(&["uninstall", "--purge"]);
    assert_eq!(code, 64, "{err}");
    let before = api.paths();
    let (code, out, _) = api.meshctl(&["uninstall", "--purge", "--dry-run"]);
    assert_eq!((code, api.paths()), (0, before));
    assert!(out.contains("would be removed"), "{out}");
    let (code, _, err) = api.meshctl(&["uninstall", "--purge", "-y"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(api.paths(), [""; 0]);
}

#[test]
fn what_the_api_server_refuses_stops_the_installation_by_name() {
    let api = Api::new();
    api.forbid("/apis/rbac.authorization.k8s.io");
    let (code, _, err) = api.meshctl(&INSTALL);
    assert_eq!(code, 1);
    assert!(
        err.contains("error: ClusterRole/istiod-istio-system is not applied: "),
        "{err}"
    );
    assert!(
        err.contains("not for you") && err.contains("hint: "),
        "{err}"
    );
}

#[test]
fn what_is_not_ready_is_named_with_its_reason() {
    let api = Api::new();
    let labels = json!({"app": "istiod", "istio": "pilot", "istio.io/rev": "default"});
    let waiting =
        |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let pod = |name: &str, labels: &Value, status: Value| {
        let pod = json!({"metadata": {"name": name, "namespace": "istio-system", "labels": labels}, "status": status});
        api.put(&format!("/api/v1/namespaces/istio-system/pods/{name}"), pod);
    };
    pod(
        "istiod-1",
        &labels,
        json!({"phase": "Running", "containerStatuses": [{"name": "discovery", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": waiting("ImagePullBackOff", "no such image")}]}),
    );
    let labels =
        json!({"app": "sidecar-injector", "istio": "sidecar-injector", "istio.io/rev": "default"});
    pod(
        "injector-1",
        &labels,
        json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]}),
    );
    let (_, _, err) = api.meshctl(&["proxy-status"]);
    assert!(err.contains("no ready control plane"), "{err}");
    let (code, out, err) = api.meshctl(&["install", "--readiness-timeout", "1s"]);
    assert_eq!((code, out.as_str()), (1, ""));
    let missing = "\
error: not ready within 1s:
  deployment istio-sidecar-injector: 0 of 2 pods are ready: pod injector-1 finds no node: 0/3 nodes are available
  deployment istiod: 0 of 2 pods are ready: pod istiod-1: container discovery: ImagePullBackOff: no such image
hint: ";
    assert!(err.contains(missing), "{err}");
    assert!(
        err.contains("\nwaiting for deployment istiod: 0 of 2 pods are ready: pod istiod-1"),
        "{err}"
    );

    // As the controllers would.
    api.forget("/api/v1/namespaces/istio-system/pods");
    for name in ["istiod", "istio-sidecar-injector"] {
        let path = format!("/apis/apps/v1/namespaces/istio-system/deployments/{name}");
        api.merge(&path, json!({"status": {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}}));
    }
    let (code, out, err) = api.meshctl(&["install"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.starts_with("installed revision default in namespace istio-system\n"),
        "{out}"
    );
}

#[test]
fn what_the_injector_would_not_read_is_not_installed() {
    let api = Api::new();
    for (set, key) in [
        ("values.global.proxy=2", "error: values.global.proxy: "),
        (
            "values.pilot.env.ENABLE_NATIVE_SIDECARS=perhaps",
            "error: values.pilot.env, or injector.arguments: invalid value 'perhaps'",
        ),
        (
            "meshConfig.trustDomain=[]",
            "error: meshConfig.trustDomain: ",
        ),
    ] {
        for command in [&INSTALL[..], &["manifest", "generate"]] {
            let (code, out, err) = api.meshctl(&[command, &["--set", set]].concat());
            assert_eq!((code, out.as_str()), (65, ""), "{set}");
            assert!(err.contains(key), "{set}: {err}");
        }
    }
    assert_eq!(api.paths(), [""; 0]);
}

fn uninstall(api: &Api, namespace: &str) -> String {
    let (code, _, err) = api.meshctl(&["uninstall", "--purge", "-y", "-i", namespace]);
    assert_eq!(code, 0, "{err}");
    err
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/";

#[test]
fn a_purge_leaves_what_another_installation_has() {
    let api = Api::new();
    for namespace in ["istio-system", "system"] {
        let (code, _, err) = api.meshctl(&[&INSTALL[..], &["-i", namespace]].concat());
        assert_eq!(code, 0, "{err}");
    }
    let of = |namespace: &str| {
        let paths = api.paths().into_iter();
        let paths = paths.filter(|path| !path.starts_with(DEFINITIONS));
        paths
            .filter(|path| path.contains(namespace))
            .collect::<Vec<_>>()
    };
    let roots = |namespace: &str, root: &str| {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/istio-ca-root-cert");
        let metadata = json!({"name": "istio-ca-root-cert", "namespace": namespace});
        api.put(
            &path,
            json!({"metadata": metadata, "data": {"root-cert.pem": root}}),
        );
        path
    };
    let theirs = [roots("istio-system", "a"), roots("shop", "a")];
    let ours = [roots("system", "b"), roots("web", "b")];
    let before = of("istio-system");
    let err = uninstall(&api, "system");
    assert!(
        err.contains("note: the definitions stay, because there are control planes that use them: istio-system"),
        "{err}"
    );
    // Nothing of the one whose name ends alike.
    assert_eq!(of("istio-system"), before);
    let left = api.paths();
    assert!(left.iter().any(|path| path.starts_with(DEFINITIONS)));
    assert!(theirs.iter().all(|path| left.contains(path)), "{left:?}");
    assert!(!ours.iter().any(|path| left.contains(path)), "{left:?}");
    assert!(!left.contains(&"/api/v1/namespaces/system".to_owned()));

    uninstall(&api, "istio-system");
    assert_eq!(api.paths(), [""; 0]);
}

#[test]
fn what_was_there_before_is_used_and_left() {
    let api = Api::new();
    let definition = format!("{DEFINITIONS}peerauthentications.security.istio.io");
    let of_helm = json!({"app.kubernetes.io/managed-by": "Helm"});
    let name = "peerauthentications.security.istio.io";
    api.put(
        &definition,
        json!({"kind": "CustomResourceDefinition", "metadata": {"name": name, "labels": of_helm}}),
    );
    let namespace = "/api/v1/namespaces/istio-system";
    api.put(
        namespace,
        json!({"kind": "Namespace", "metadata": {"name": "istio-system"}}),
    );
    // A second time it is known just as well.
    for _ in 0..2 {
        let (code, _, err) = api.meshctl(&INSTALL);
        assert_eq!(code, 0, "{err}");
        for object in [
            "CustomResourceDefinition/peerauthentications.security.istio.io",
            "Namespace/istio-system",
        ] {
            let note = format!("note: {object} was there before: it is used, and");
            assert!(err.contains(&note), "{err}");
        }
    }
    uninstall(&api, "istio-system");
    assert_eq!(api.paths(), [namespace.to_owned(), definition]);
}

#[test]
fn another_mesh_is_not_overwritten() {
    let api = Api::new();
    let path = "/apis/apps/v1/namespaces/istio-system/deployments/istiod";
    let metadata =
        json!({"name": "istiod", "namespace": "istio-system", "labels": {"app": "istiod"}});
    let theirs = json!({"kind": "Deployment", "metadata": metadata,
        "spec": {"selector": {"matchLabels": {}}, "template": {}}});
    api.put(path, theirs);
    let before = api.paths();
    for flags in [&[][..], &["-r", "canary"]] {
        let (code, _, err) = api.meshctl(&[&INSTALL[..], flags].concat());
        assert_eq!(code, 1);
        assert!(
            err.contains("error: another mesh is installed in namespace istio-system, not by meshctl: Deployment/istiod\nhint: ")
                && err.contains("--force"),
            "{err}"
        );
        assert_eq!(api.paths(), before);
    }
    let (code, _, err) = api.meshctl(&[&INSTALL[..], &["-i", "elsewhere"]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains(
            "warning: there is another control plane, Deployment/istiod in namespace istio-system"
        ),
        "{err}"
    );
    let (code, _, err) = api.meshctl(&[&INSTALL[..], &["--force"]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("Deployment/istiod configured"), "{err}");
}

#[test]
fn a_tag_that_is_taken_away_takes_its_webhook_with_it() {
    let api = Api::new();
    let tag = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-revision-tag-prod";
    let with = |tags: &str, flags: &[&str]| {
        let tags = format!("tags={tags}");
        let (code, _, err) = api.meshctl(&[&INSTALL[..], &["--set", &tags], flags].concat());
        assert_eq!(code, 0, "{err}");
        err
    };
    with("[\"prod\", \"test\"]", &[]);
    with("[\"canary\"]", &["-r", "canary"]);
    let before = api.paths();
    assert!(before.contains(&tag.to_owned()), "{before:?}");
    let err = with("[\"test\"]", &["--dry-run"]);
    assert!(
        err.contains("MutatingWebhookConfiguration/istio-revision-tag-prod would be pruned"),
        "{err}"
    );
    assert_eq!(api.paths(), before);
    let err = with("[\"test\"]", &[]);
    assert!(
        err.contains("MutatingWebhookConfiguration/istio-revision-tag-prod pruned"),
        "{err}"
    );
    let mut left = before;
    left.retain(|path| path != tag);
    assert_eq!(api.paths(), left);
}

#[test]
fn a_changed_setting_rolls_the_pods_that_read_it() {
    let api = Api::new();
    assert_eq!(api.meshctl(&INSTALL).0, 0);
    let (code, _, err) =
        api.meshctl(&[&INSTALL[..], &["--set", "values.global.network=n"]].concat());
    assert_eq!(code, 0, "{err}");
    let changed: Vec<_> = err
        .lines()
        .filter(|line| line.ends_with("configured"))
        .collect();
    assert_eq!(
        changed,
        [
            "ConfigMap/istio-sidecar-injector configured",
            "Deployment/istio-sidecar-injector configured"
        ]
    );
}
