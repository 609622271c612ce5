//! A thousand reviews through the webhook's port, a tenth of them hostile: each is answered, none makes it panic, and the
//! time of the honest ones is printed.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use mesh_injector::{
    Settings,
    webhook::{
        http::{MAX_BODY, Webhook, reviews},
        live::{Kubelets, Live},
        metrics::Metrics,
    },
};
use mesh_runtime::readiness::Readiness;
use serde_json::{Value, json};
use tower::Service;

const REVIEWS: usize = 1000;
/// A bound against hanging, not a goal: the machine of a test may be busy. The goal, a p99 of 20 ms, is for who reads what is
/// printed.
const PATIENCE: Duration = Duration::from_secs(10);

fn webhook() -> Arc<Webhook> {
    Arc::new(Webhook {
        live: Arc::new(Live::new(Settings::default(), Kubelets::default())),
        metrics: Arc::new(Metrics::default()),
        readiness: Readiness::new(),
    })
}

/// A pod as a Deployment makes it, with `containers` containers that have probes, ports and variables.
fn pod(containers: usize) -> Value {
    let probe = json!({"httpGet": {"path": "/healthz", "port": "web"}, "periodSeconds": 3});
    let variables: Vec<_> = (0..40)
        .map(|n| json!({"name": format!("V{n}"), "value": "x".repeat(n)}))
        .collect();
    let containers: Vec<_> = (0..containers)
        .map(|n| {
            json!({"name": format!("c{n}"), "image": "nginx:latest", "env": variables,
                "ports": [{"name": "web", "containerPort": 8000 + n}],
                "readinessProbe": probe, "livenessProbe": probe,
                "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]})
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-7c79c4bf97-", "namespace": "test",
            "labels": {"app": "web", "pod-template-hash": "7c79c4bf97"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7c79c4bf97", "uid": "u", "controller": true}]},
        "spec": {"containers": containers, "volumes": [{"name": "token", "projected": {"sources": []}}]}})
}

fn review(object: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
        "namespace": "test", "object": object}})
}

/// Bodies that nobody honest sends.
fn hostile(n: usize) -> Vec<u8> {
    let mut honest = review(&pod(1));
    match n % 12 {
        0 => Vec::new(),
        1 => vec![0xff; 1 << 16],
        2 => "[".repeat(200_000).into_bytes(),
        3 => vec![b' '; MAX_BODY + 1],
        4 => honest.to_string().into_bytes()[..300].to_vec(),
        5 => {
            honest["request"]["object"]["spec"]["containers"] = json!({"0": null});
            honest.to_string().into_bytes()
        }
        6 => {
            honest["request"]["operation"] = "DELETE".into();
            honest["request"]["object"] = Value::Null;
            honest.to_string().into_bytes()
        }
        7 => {
            honest["request"]["kind"]["kind"] = "Node".into();
            honest.to_string().into_bytes()
        }
        8 => {
            honest["apiVersion"] = "admission.k8s.io/v1beta1".into();
            honest.to_string().into_bytes()
        }
        9 => {
            honest["request"]["object"]["metadata"]["annotations"] = json!({
                "sidecar.istio.io/status": "{\"containers\":[\"c0\"]", "proxy.istio.io/config": "{{{{",
                "traffic.sidecar.istio.io/includeOutboundIPRanges": "300.0.0.0/99,\u{0}"});
            honest.to_string().into_bytes()
        }
        10 => {
            honest["request"]["object"]["metadata"]["name"] = "a\nb\u{1b}[31m".into();
            honest["request"]["uid"] = Value::Null;
            honest.to_string().into_bytes()
        }
        _ => {
            honest["request"]["object"] = pod(400);
            honest["request"]["object"]["spec"]["volumes"] = json!([{"name": "istio-token"}]);
            honest.to_string().into_bytes()
        }
    }
}

async fn send(webhook: &Arc<Webhook>, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .expect("a request");
    let reply = reviews(webhook.clone()).call(request);
    let reply = tokio::time::timeout(PATIENCE, reply).await;
    let reply = reply.expect("in time").expect("infallible");
    let status = reply.status();
    let body = reply.into_body().collect().await.expect("a body");
    (status, body.to_bytes().to_vec())
}

#[tokio::test]
async fn sec_61_a_thousand_reviews_a_tenth_of_them_hostile() {
    let webhook = webhook();
    let mut times = Vec::new();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for n in 0..REVIEWS {
        if n % 10 == 0 {
            let (status, reply) = send(&webhook, "/inject", hostile(n / 10)).await;
            *statuses.entry(status.as_u16()).or_default() += 1;
            match status {
                StatusCode::OK => {
                    let reply: Value = serde_json::from_slice(&reply).expect("a review");
                    assert_eq!(
                        reply["response"]["allowed"],
                        false,
                        "hostile {}",
                        n / 10 % 12
                    );
                }
                StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
                    assert!(!reply.is_empty(), "a reason");
                }
                other => panic!("{other} for hostile {}", n / 10 % 12),
            }
            continue;
        }
        let body = review(&pod(1 + n % 4)).to_string().into_bytes();
        let begin = Instant::now();
        let (status, reply) = send(&webhook, "/inject", body).await;
        times.push(begin.elapsed());
        assert_eq!(status, StatusCode::OK);
        let reply: Value = serde_json::from_slice(&reply).expect("a review");
        assert_eq!(reply["response"]["allowed"], true);
        assert!(reply["response"]["patch"].is_string());
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{} reviews: p50 {:?}, p99 {:?}, most {:?}; hostile ones by status: {statuses:?}",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let page = webhook.metrics.text();
    assert!(
        page.contains("sidecar_injection_requests_total 1000\n"),
        "{page}"
    );
    assert!(
        page.contains("sidecar_injection_success_total 900\n"),
        "{page}"
    );
    assert!(
        page.contains("sidecar_injection_failure_total 100\n"),
        "{page}"
    );
}

#[tokio::test]
async fn the_path_adds_to_the_settings() {
    let webhook = webhook();
    let body = review(&pod(1)).to_string().into_bytes();
    let (status, reply) = send(&webhook, "/inject/cluster/c-7/net/n-1", body.clone()).await;
    assert_eq!(status, StatusCode::OK);
    let reply: Value = serde_json::from_slice(&reply).expect("a review");
    let patch: mesh_api::k8s::ByteString =
        serde_json::from_value(reply["response"]["patch"].clone()).expect("base64");
    let patch = String::from_utf8(patch.0).expect("text");
    assert!(
        patch.contains("\"c-7\"") && patch.contains("\"n-1\""),
        "{patch}"
    );
    let (status, _) = send(&webhook, "/inject/cluster", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn other_types_and_codings_are_not_read() {
    let webhook = webhook();
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-type", ""),
        ("content-encoding", "gzip"),
    ] {
        let mut request = Request::post("/inject")
            .header("content-type", "application/json")
            .body(Body::from("{}"))
            .expect("a request");
        request
            .headers_mut()
            .insert(name, http::HeaderValue::from_static(value));
        let reply = reviews(webhook.clone())
            .call(request)
            .await
            .expect("infallible");
        assert_eq!(
            reply.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{name}: {value}"
        );
    }
}

/// The pod that the answer to a review of `object` makes.
async fn admitted(webhook: &Arc<Webhook>, object: &Value) -> Value {
    let (status, reply) = send(webhook, "/inject", review(object).to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK);
    let reply: Value = serde_json::from_slice(&reply).expect("a review");
    assert_eq!(reply["response"]["allowed"], true, "{reply}");
    let patch: mesh_api::k8s::ByteString =
        serde_json::from_value(reply["response"]["patch"].clone()).expect("base64");
    let patch: json_patch::Patch = serde_json::from_slice(&patch.0).expect("a patch");
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).expect("the patch fits");
    object
}

#[tokio::test]
async fn f22_a_pod_that_has_its_sidecar_gets_no_second_whoever_injects_it_again() {
    let classic = webhook();
    let settings = Settings {
        native_sidecars: true,
        ..Settings::default()
    };
    let native = Arc::new(Webhook {
        live: Arc::new(Live::new(settings, Kubelets::default())),
        metrics: Arc::new(Metrics::default()),
        readiness: Readiness::new(),
    });
    let once = admitted(&classic, &pod(2)).await;
    assert_eq!(
        admitted(&classic, &once).await,
        once,
        "nothing is left to do"
    );
    // Another injector, as in the middle of an upgrade, and back.
    let other = admitted(&native, &once).await;
    assert_eq!(other, admitted(&native, &pod(2)).await);
    assert_eq!(admitted(&classic, &other).await, once);
    for pod in [&once, &other] {
        for (name, wanted) in [("istio-proxy", 1), ("istio-init", 1), ("c0", 1), ("c1", 1)] {
            let lists = ["/spec/containers", "/spec/initContainers"].map(|list| pod.pointer(list));
            let all = lists
                .into_iter()
                .flatten()
                .filter_map(Value::as_array)
                .flatten();
            assert_eq!(all.filter(|c| c["name"] == name).count(), wanted, "{name}");
        }
    }
}
