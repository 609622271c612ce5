use super::*;
use crate::testing::{
    api::Api as ApiServer,
    tokens::{claims, sign},
};
use http::StatusCode;
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

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
    let caller = reviewer(&api)
        .verify(&token(|_| {}), FROM)
        .await
        .expect("valid");
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
    let for_others = reviewer.verify(&token(|_| {}), FROM).await;
    assert_eq!(for_others, Err(TokenError::Audience("istio-ca".into())));
    api.review("tokenreviews", |_| {
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": {"error": "pod is gone"}})
    });
    let refused = reviewer.verify(&token(|_| {}), FROM).await;
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
        assert_eq!(reviewer.verify(&token, FROM).await, Err(why));
    }
    assert_eq!(api.requests(), 0);
}

#[tokio::test]
async fn f14_without_the_api_server_nobody_is_accepted_and_the_reason_says_so() {
    let api = ApiServer::start().await;
    api.set_broken(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let refused = reviewer(&api).verify(&token(|_| {}), FROM).await;
    assert!(
        matches!(refused, Err(TokenError::Unavailable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn sec_55_a_token_whose_end_is_beyond_all_numbers_is_only_that() {
    let api = ApiServer::start().await;
    api.review("tokenreviews", yes("istio-ca"));
    let for_ever = token(|c| c["exp"] = u64::MAX.into());
    assert!(reviewer(&api).verify(&for_ever, FROM).await.is_ok());
}

/// Says no to any token.
fn no(_: &Value) -> Value {
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": {"error": "unknown"}})
}

#[tokio::test]
async fn f14_a_token_that_was_accepted_not_long_ago_is_so_while_the_api_server_is_away() {
    let api = ApiServer::in_process();
    tokio::time::pause();
    let (reviewer, known) = (reviewer(&api), token(|_| {}));
    api.review("tokenreviews", yes("istio-ca"));
    let caller = reviewer.verify(&known, FROM).await.expect("valid");
    api.set_broken(Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(reviewer.verify(&known, FROM).await, Ok(caller));
    let unknown = reviewer.verify(&token(|_| {}), FROM).await;
    assert!(
        matches!(unknown, Err(TokenError::Unavailable(_))),
        "{unknown:?}"
    );
    tokio::time::advance(remembered::REMEMBERED).await;
    let late = reviewer.verify(&known, FROM).await;
    assert!(matches!(late, Err(TokenError::Unavailable(_))), "{late:?}");
}

#[tokio::test]
async fn sec_62_a_token_that_is_taken_back_is_refused_at_once_and_stays_so() {
    let api = ApiServer::in_process();
    let (reviewer, token) = (reviewer(&api), token(|_| {}));
    api.review("tokenreviews", yes("istio-ca"));
    assert!(reviewer.verify(&token, FROM).await.is_ok());
    api.review("tokenreviews", no);
    let refused = reviewer.verify(&token, FROM).await;
    assert_eq!(refused, Err(TokenError::Refused("unknown".into())));
    api.set_broken(Some(StatusCode::SERVICE_UNAVAILABLE));
    let away = reviewer.verify(&token, FROM).await;
    assert!(matches!(away, Err(TokenError::Unavailable(_))), "{away:?}");
}

#[tokio::test]
async fn sec_62_a_flood_of_made_up_tokens_costs_the_api_server_little_and_others_pass() {
    let api = ApiServer::in_process();
    tokio::time::pause();
    let (reviewer, made_up) = (reviewer(&api), token(|_| {}));
    api.review("tokenreviews", no);
    let mut too_many = 0;
    for _ in 0..1000 {
        match reviewer.verify(&made_up, FROM).await {
            Err(TokenError::TooMany(_)) => too_many += 1,
            other => assert_eq!(other, Err(TokenError::Refused("unknown".into()))),
        }
    }
    assert!(
        api.requests() <= 25 && too_many >= 975,
        "{}",
        api.requests()
    );
    api.review("tokenreviews", yes("istio-ca"));
    let elsewhere = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    assert!(reviewer.verify(&token(|_| {}), elsewhere).await.is_ok());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(
        reviewer.verify(&token(|_| {}), FROM).await.is_ok(),
        "it recovers"
    );
}
