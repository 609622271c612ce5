use serde_json::json;

use super::*;

fn review(object: Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
        "namespace": "test", "object": object}})
}

fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "nginx-"},
        "spec": {"containers": [{"name": "nginx", "image": "nginx", "fieldOfTomorrow": 1}]}})
}

fn ask(review: &Value) -> (Answer, Value) {
    let answer = answer(review.to_string().as_bytes(), &Settings::default()).expect("a review");
    let reply: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(reply["response"]["uid"], review["request"]["uid"]);
    assert_eq!(reply["apiVersion"], "admission.k8s.io/v1");
    (answer, reply["response"].clone())
}

#[test]
fn the_patch_makes_the_pod_that_the_pipeline_makes() {
    let (answer, response) = ask(&review(pod()));
    assert_eq!(answer.verdict, Verdict::Injected(Why::Policy));
    assert_eq!((&*answer.namespace, &*answer.pod), ("test", "nginx-"));
    assert_eq!(response["allowed"], true);
    assert_eq!(response["patchType"], "JSONPatch");
    let patch: ByteString = serde_json::from_value(response["patch"].clone()).expect("base64");
    let patch: Patch = serde_json::from_slice(&patch.0).expect("a patch");
    let mut patched = pod();
    json_patch::patch(&mut patched, &patch).expect("applies");
    let Ok(Outcome::Injected(injected)) =
        inject_json(&pod(), &NamespaceFacts::named("test"), &Settings::default())
    else {
        panic!("injected");
    };
    assert_eq!(patched, injected.pod);
    assert_eq!(patched["spec"]["containers"][0]["fieldOfTomorrow"], 1);
}

#[test]
fn pods_that_stay_as_they_are_need_no_patch() {
    let mut host = pod();
    host["spec"]["hostNetwork"] = true.into();
    let (answer, response) = ask(&review(host));
    assert_eq!(answer.verdict, Verdict::Skipped(Skip::HostNetwork));
    assert_eq!(response["allowed"], true);
    assert!(response.get("patch").is_none());
    let warning = response["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("hostNetwork"), "{warning}");

    let mut without = pod();
    without["metadata"]["labels"] = json!({"sidecar.istio.io/inject": "false"});
    let (answer, response) = ask(&review(without));
    assert_eq!(answer.verdict, Verdict::Skipped(Skip::Label));
    assert!(response.get("warnings").is_none());
}

#[test]
fn a_mistake_refuses_the_pod_and_says_where() {
    let mut wrong = pod();
    wrong["metadata"]["annotations"] = json!({"sidecar.istio.io/proxyCPU": "much"});
    let (_, response) = ask(&review(wrong));
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().expect("a message");
    assert!(message.contains("sidecar.istio.io/proxyCPU"), "{message}");
}

#[test]
fn the_proxys_user_is_a_warning_and_a_refusal_where_that_is_wanted() {
    let mut pod = pod();
    pod["spec"]["securityContext"] = json!({"runAsUser": 1337});
    let (_, response) = ask(&review(pod.clone()));
    let warning = response["warnings"][0].as_str().expect("one");
    assert!(
        warning.contains("1337") && !warning.contains('\n'),
        "{warning}"
    );
    assert_eq!(response["allowed"], true);
    let settings = Settings {
        proxy_user: crate::ProxyUser::Refuse,
        ..Settings::default()
    };
    let answer = answer(review(pod).to_string().as_bytes(), &settings).expect("a review");
    let reply: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let message = reply["response"]["status"]["message"].as_str();
    assert!(
        message.is_some_and(|message| message.contains("1337")),
        "{reply}"
    );
}

#[test]
fn sec_61_anything_but_the_creation_of_a_pod_is_refused_with_a_hint() {
    let base = review(pod());
    let changes = [
        (
            "kind",
            json!({"group": "apps", "version": "v1", "kind": "Deployment"}),
        ),
        ("kind", json!({"group": "", "version": "v2", "kind": "Pod"})),
        ("kind", json!({})),
        ("operation", json!("UPDATE")),
        ("operation", json!("")),
        ("subResource", json!("ephemeralcontainers")),
        ("object", json!(null)),
        ("object", json!([])),
        ("object", json!({"spec": 3})),
    ];
    for (field, value) in changes {
        let mut review = base.clone();
        review["request"][field] = value.clone();
        let (answer, response) = ask(&review);
        assert!(matches!(answer.verdict, Verdict::Refused(_)), "{value}");
        assert_eq!(response["allowed"], false, "{value}");
        assert_eq!(response["status"]["code"], 400);
    }
}

#[test]
fn sec_61_what_is_no_review_is_told_so() {
    let mut empty = review(pod());
    empty["request"] = Value::Null;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = review(pod()).to_string().replace("\"nginx-\"", &deep);
    let rows = [
        (String::new(), "no AdmissionReview"),
        ("null".into(), "no AdmissionReview"),
        ("{}".into(), "no AdmissionReview"),
        ("\u{0}".into(), "no AdmissionReview"),
        (deep, "no AdmissionReview"),
        (nested, "no AdmissionReview"),
        (empty.to_string(), "no request"),
    ];
    for (body, expected) in rows {
        let error = answer(body.as_bytes(), &Settings::default()).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn sec_61_a_malformed_review_is_answered_as_long_as_its_question_has_a_uid() {
    let changes = [
        ("/apiVersion", json!("admission.k8s.io/v1beta1"), "v1beta1"),
        ("/apiVersion", json!("else/v1"), "else/v1"),
        ("/kind", json!("Review"), "Review"),
        ("/request/namespace", json!(3), "invalid type: integer `3`"),
        ("/request/kind", json!("Pod"), "invalid type: string"),
    ];
    for (pointer, value, expected) in changes {
        let mut malformed = review(pod());
        *malformed.pointer_mut(pointer).expect("a field") = value.clone();
        let answer = answer(malformed.to_string().as_bytes(), &Settings::default());
        let answer = answer.expect("an answer");
        assert!(matches!(answer.verdict, Verdict::Refused(_)), "{pointer}");
        let reply: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let own = value == "admission.k8s.io/v1beta1";
        let version = if own {
            "admission.k8s.io/v1beta1"
        } else {
            GROUP_VERSION
        };
        assert_eq!(reply["apiVersion"], version);
        let response = &reply["response"];
        assert_eq!(
            (&response["uid"], &response["allowed"]),
            (&json!("u-1"), &json!(false))
        );
        let message = response["status"]["message"].as_str().expect("a message");
        assert!(message.contains(expected), "{message}");
    }
}
