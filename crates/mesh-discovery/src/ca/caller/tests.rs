use super::*;
use crate::testing::{
    api::Api as ApiServer,
    tokens::{claims, sign},
};
use http::StatusCode;
use rcgen::KeyPair;
use serde_json::{Value, json};

const WEB: &str = "spiffe://cluster.local/ns/test/sa/web";
const HOUR: Duration = Duration::from_secs(3600);

fn certificate(uris: &[&str]) -> CertificateDer<'static> {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = uris
        .iter()
        .map(|uri| rcgen::SanType::URI((*uri).try_into().expect("ASCII")))
        .collect();
    let key = KeyPair::generate().expect("key");
    params.self_signed(&key).expect("certificate").der().clone()
}

#[test]
fn one_uri_of_our_trust_domain_is_an_identity() {
    let id =
        |uris: &[&str]| identity_of(&certificate(uris), "cluster.local").map(|id| id.to_string());
    assert_eq!(id(&[WEB]).as_deref(), Some(WEB));
    assert_eq!(id(&[WEB, "spiffe://cluster.local/ns/c/sa/d"]), None);
    assert_eq!(id(&["spiffe://other/ns/a/sa/b"]), None);
    assert_eq!(id(&[]), None);
    let read = PeerCertificate::read(&certificate(&[WEB]), "cluster.local").expect("a workload's");
    assert!(read.identity.to_string() == WEB && read.begin < read.end);
    assert_eq!(
        PeerCertificate::read(&certificate(&[]), "cluster.local"),
        None
    );
}

#[tokio::test]
async fn says_what_is_missing() {
    let nobody = Authenticator::default();
    let cases = [
        (None, CallerError::None),
        (Some("Basic abc"), CallerError::Scheme),
        (Some("Bearer abc"), CallerError::NoIssuer),
    ];
    for (header, why) in cases {
        let from = [10, 0, 0, 1].into();
        let refused = nobody.authenticate(from, None, header, Purpose::Configuration);
        assert_eq!(refused.await, Err(why));
    }
}

/// An API server that checks tokens, and what asks it.
struct Reviews {
    api: ApiServer,
    authenticator: Authenticator,
}

impl Reviews {
    fn new() -> Self {
        let api = ApiServer::in_process();
        let audiences = vec!["istio-ca".to_owned()];
        let reviewer = TokenReviewer::new(api.client(), audiences, "cluster.local");
        let reviews = Self {
            api,
            authenticator: Authenticator::new(Tokens::Reviews(Box::new(reviewer))),
        };
        reviews.say(json!({
            "authenticated": true,
            "audiences": ["istio-ca"],
            "user": {"username": "system:serviceaccount:test:of-the-token"},
        }));
        reviews
    }

    /// Answers so from now on.
    fn say(&self, status: Value) {
        self.api.set_broken(None);
        self.api.review("tokenreviews", move |_| {
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": status})
        });
    }

    fn go_away(&self) {
        self.api.set_broken(Some(StatusCode::SERVICE_UNAVAILABLE));
    }

    async fn ask(
        &self,
        certificate: Option<&PeerCertificate>,
        token: Option<&str>,
        purpose: Purpose,
    ) -> Result<Caller, CallerError> {
        let header = token.map(|token| format!("Bearer {token}"));
        let from = [10, 0, 0, 1].into();
        self.authenticator
            .authenticate(from, certificate, header.as_deref(), purpose)
            .await
    }
}

fn token(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims("test", "of-the-token");
    change(&mut claims);
    sign(&KeyPair::generate().expect("key"), &claims)
}

/// That of `web`, which began so long ago and ends so soon.
fn shown(age: Duration, left: Duration) -> PeerCertificate {
    let now = SystemTime::now();
    PeerCertificate {
        identity: WEB.parse().expect("an identity"),
        begin: now - age,
        end: now + left,
    }
}

use Purpose::{Configuration, Signing};

#[tokio::test]
async fn sec_62_a_certificate_is_not_asked_while_tokens_are_checked() {
    let (reviews, valid) = (Reviews::new(), shown(HOUR, HOUR));
    for purpose in [Signing, Configuration] {
        let caller = reviews
            .ask(Some(&valid), Some(&token(|_| {})), purpose)
            .await;
        let caller = caller.expect("the token is good");
        assert_eq!(caller.identity.service_account, "of-the-token");
        assert_eq!(caller.proof, Proof::Token);
    }
    // The pod is gone: its certificate buys neither a new one nor configuration beside the token.
    reviews.say(json!({"error": "pod is gone"}));
    for purpose in [Signing, Configuration] {
        let refused = reviews
            .ask(Some(&valid), Some(&token(|_| {})), purpose)
            .await;
        assert_eq!(
            refused,
            Err(TokenError::Refused("pod is gone".into()).into())
        );
        let expired = token(|claims| claims["exp"] = 1.into());
        let refused = reviews.ask(Some(&valid), Some(&expired), purpose).await;
        assert_eq!(refused, Err(TokenError::Expired.into()));
    }
    // To leave the token away is no way around it.
    let alone = reviews.ask(Some(&valid), None, Signing).await;
    assert_eq!(alone, Err(CallerError::NoToken));
    assert!(reviews.ask(Some(&valid), None, Configuration).await.is_ok());
}

#[tokio::test]
async fn f14_a_certificate_stands_in_while_the_api_server_is_away() {
    let reviews = Reviews::new();
    reviews.go_away();
    let valid = shown(12 * HOUR, 12 * HOUR);
    let proof = Proof::Certificate { begin: valid.begin };
    let expired = token(|claims| claims["exp"] = 1.into());
    for token in [token(|_| {}), expired] {
        for purpose in [Signing, Configuration] {
            let caller = reviews.ask(Some(&valid), Some(&token), purpose).await;
            let caller = caller.expect("accepted");
            assert_eq!(
                (caller.identity.to_string().as_str(), caller.proof),
                (WEB, proof)
            );
        }
    }
    let refused = reviews.ask(None, Some(&token(|_| {})), Signing).await;
    assert!(
        matches!(refused, Err(CallerError::Token(TokenError::Unavailable(_)))),
        "{refused:?}"
    );
    // The connection was made when it was still valid.
    let over = shown(24 * HOUR, Duration::ZERO);
    let refused = reviews
        .ask(Some(&over), Some(&token(|_| {})), Signing)
        .await;
    assert!(refused.is_err_and(|e| e.is_temporary()));
    assert_eq!(
        reviews.ask(Some(&over), None, Configuration).await,
        Err(CallerError::None)
    );
    // What cannot be a token is none, whoever shows it.
    let garbage = reviews.ask(Some(&valid), Some("garbage"), Signing).await;
    assert_eq!(garbage, Err(TokenError::Malformed.into()));
}

#[tokio::test]
async fn sec_62_a_certificate_does_not_stand_in_for_ever() {
    let mut reviews = Reviews::new();
    reviews.go_away();
    let old = shown(USUAL_PATIENCE + HOUR, HOUR);
    let refused = reviews.ask(Some(&old), Some(&token(|_| {})), Signing).await;
    let refused = refused.expect_err("too long");
    assert!(
        refused.is_temporary(),
        "when the API server is back, it is as ever"
    );
    let text = refused.to_string();
    assert!(
        text.contains("stands in for 72 h") && text.contains("73 h ago"),
        "{text}"
    );
    // It reads configuration until its end, as its connection would have stood.
    assert!(
        reviews
            .ask(Some(&old), Some(&token(|_| {})), Configuration)
            .await
            .is_ok()
    );
    reviews.authenticator = reviews.authenticator.with_patience(Duration::ZERO);
    let never = reviews
        .ask(Some(&shown(HOUR, HOUR)), Some(&token(|_| {})), Signing)
        .await;
    assert!(
        matches!(never, Err(CallerError::TooLongAgo { .. })),
        "{never:?}"
    );
}
