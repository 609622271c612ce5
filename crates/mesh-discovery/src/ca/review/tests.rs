use super::*;
use crate::testing::{
    api::Api as ApiServer,
    tokens::{claims, sign},
};
use http::StatusCode;
use rcgen::KeyPair;
use serde_json::{Value, json};

/// Says that any token is of `web` in `test`, for `audience`.
fn yes(audience: &'static str) -> impl Fn(&Value) -> Value {
    move |asked| {
        assert_eq!(asked["spec"]["audiences"], json!(["istio-ca"]));
        let user =
            json!({"username": "system:serviceaccount:test:web", "extra": {POD_NAME: ["web-0"]}});
        let status = json!({"authenticated": true, "audiences": [audience], "user": user});
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": status})
    }
}

fn reviewer(api: &ApiServer) -> TokenReviewer {
    TokenReviewer::new(api.client(), vec!["istio-ca".into()], "cluster.local")
}

fn token(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims("test", "web");
    change(&mut claims);
    sign(&KeyPair::generate().expect("key"), &claims)
}

#[tokio::test]
async fn the_identity_is_what_the_api_server_says() {
    let api = ApiServer::start().await;
    api.review("tokenreviews", yes("istio-ca"));
    let caller = reviewer(&api).verify(&token(|_| {})).await.expect("valid");
    assert_eq!(
        caller.identity.to_string(),
        "spiffe://cluster.local/ns/test/sa/web"
    );
    assert_eq!(caller.pod.as_deref(), Some("web-0"));
}

#[tokio::test]
async fn sec_62_a_token_for_others_or_of_a_pod_that_is_gone_is_refused() {
    let api = ApiServer::start().await;
    let reviewer = reviewer(&api);
    api.review("tokenreviews", yes("https://kubernetes.default.svc"));
    let for_others = reviewer.verify(&token(|_| {})).await;
    assert_eq!(for_others, Err(TokenError::Audience("istio-ca".into())));
    api.review("tokenreviews", |_| {
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": {"error": "pod is gone"}})
    });
    let refused = reviewer.verify(&token(|_| {})).await;
    assert_eq!(refused, Err(TokenError::Refused("pod is gone".into())));
}

#[tokio::test]
async fn what_cannot_be_a_token_for_us_is_refused_without_asking() {
    let api = ApiServer::start().await;
    let reviewer = reviewer(&api);
    let cases = [
        ("garbage".to_owned(), TokenError::Malformed),
        ("a".repeat(100_000), TokenError::TooLarge),
        (token(|c| c["exp"] = 1.into()), TokenError::Expired),
        (
            token(|c| c["aud"] = "api".into()),
            TokenError::Audience("istio-ca".into()),
        ),
        (token(|c| c["sub"] = "admin".into()), TokenError::Subject),
    ];
    for (token, why) in cases {
        assert_eq!(reviewer.verify(&token).await, Err(why));
    }
    assert_eq!(api.requests(), 0);
}

#[tokio::test]
async fn f14_without_the_api_server_nobody_is_accepted_and_the_reason_says_so() {
    let api = ApiServer::start().await;
    api.set_broken(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let refused = reviewer(&api).verify(&token(|_| {})).await;
    assert!(
        matches!(refused, Err(TokenError::Unavailable(_))),
        "{refused:?}"
    );
}
