use super::*;

fn sandboxes(pods: &[(&str, &[&str])]) -> (tempfile::TempDir, Sandboxes) {
    let root = tempfile::tempdir().unwrap();
    for (folder, pods) in pods {
        let folder = root.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        for pod in *pods {
            std::fs::write(folder.join(format!("{pod}.sock")), "").unwrap();
        }
    }
    std::fs::write(root.path().join("lock"), "").unwrap();
    let sandboxes = Sandboxes::below(root.path()).unwrap();
    (root, sandboxes)
}

#[test]
fn a_pod_is_found_in_any_sandbox() {
    let (root, sandboxes) = sandboxes(&[
        ("a", &["x.test", "discovery"]),
        ("b", &["y-2.test", "y-1.test"]),
    ]);
    let pod = sandboxes.pod(&PodName::new("x", "test")).unwrap();
    assert_eq!(pod.socket, root.path().join("a/x.test.sock"));
    let pod = sandboxes
        .pod(&PodName::new("deployment/y", "test"))
        .unwrap();
    assert_eq!(pod.name, "y-1.test", "the first of the workload's pods");
}

#[test]
fn what_is_missing_is_answered_with_what_is_there() {
    let (_root, sandboxes) = sandboxes(&[("a", &["x.test", "discovery"]), ("b", &["y.test"])]);
    let error = sandboxes.pod(&PodName::new("z", "test")).unwrap_err();
    assert_eq!(error.to_string(), "there is no pod `z`");
    assert!(error.hint().contains("x.test, y.test"), "{}", error.hint());
    assert!(!error.hint().contains("discovery"), "{}", error.hint());
}

#[test]
fn a_pod_in_two_sandboxes_is_not_guessed() {
    let (root, sandboxes) = sandboxes(&[("a", &["x.test"]), ("b", &["x.test"])]);
    let error = sandboxes
        .pod(&PodName::new("x.test", "default"))
        .unwrap_err();
    let folders = ["a", "b"].map(|name| root.path().join(name).display().to_string());
    assert!(
        matches!(&error, Error::Ambiguous { folders: f, .. } if *f == folders),
        "{error}"
    );
    assert!(error.hint().contains(VARIABLE));
}

#[test]
fn without_a_folder_nothing_is_running() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("mesh");
    assert!(matches!(Sandboxes::below(&missing), Err(Error::Nothing)));
    std::fs::create_dir(root.path().join("another")).unwrap();
    assert!(matches!(Sandboxes::below(root.path()), Err(Error::Nothing)));
}
