//! `install` and `uninstall`.

use crate::api::Api;

const INSTALL: [&str; 3] = ["install", "--readiness-timeout", "0s"];

#[test]
fn the_second_time_nothing_changes() {
    let api = Api::new();
    let (code, out, err) = api.meshctl(&INSTALL);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("installed revision default in namespace istio-system"),
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
