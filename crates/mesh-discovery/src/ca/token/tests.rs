use super::*;
use crate::testing::tokens::{Issuer, claims, sign};
use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use rcgen::KeyPair;
use serde_json::{Value, json};

impl Issuer {
    fn verify(&self, change: impl FnOnce(&mut Value)) -> Result<Caller, TokenError> {
        let mut claims = claims("test", "web");
        change(&mut claims);
        self.verifier.verify(&sign(&self.key, &claims))
    }
}

#[test]
fn a_projected_token_gives_identity_and_pod() {
    let issuer = Issuer::new();
    let caller = issuer.verify(|_| ()).expect("valid");
    assert_eq!(
        caller.identity.to_string(),
        "spiffe://cluster.local/ns/test/sa/web"
    );
    assert_eq!(caller.pod.as_deref(), Some("web-0"));
    let legacy =
        issuer.verify(|c| drop(c.as_object_mut().expect("object").remove("kubernetes.io")));
    assert_eq!(legacy.expect("valid").pod, None);
    assert!(issuer.verify(|c| c["aud"] = json!("istio-ca")).is_ok());
}

#[test]
fn sec_62_claims_are_checked() {
    let issuer = Issuer::new();
    let now = get_current_timestamp();
    let refusal = |claim: &str, value: Value| {
        let change = |c: &mut Value| match value {
            Value::Null => drop(c.as_object_mut().expect("object").remove(claim)),
            value => c[claim] = value,
        };
        issuer.verify(change).expect_err(claim)
    };
    assert_eq!(
        refusal("aud", json!(["other"])),
        TokenError::Audience("istio-ca".into())
    );
    assert_eq!(refusal("aud", Value::Null), TokenError::Claim("aud".into()));
    assert_eq!(
        refusal("iss", json!("https://evil")),
        TokenError::Issuer("https://issuer".into())
    );
    assert_eq!(refusal("iss", Value::Null), TokenError::Claim("iss".into()));
    assert_eq!(refusal("exp", json!(now - 61)), TokenError::Expired);
    assert_eq!(refusal("exp", Value::Null), TokenError::Claim("exp".into()));
    assert_eq!(refusal("nbf", json!(now + 65)), TokenError::NotYet);
    assert_eq!(
        refusal("kubernetes.io", json!({"namespace": "other"})),
        TokenError::Contradiction
    );
    assert_eq!(
        refusal(
            "kubernetes.io",
            json!({"serviceaccount": {"name": "admin"}})
        ),
        TokenError::Contradiction
    );
    for subject in [
        "alice",
        "system:serviceaccount:test",
        "system:serviceaccount::web",
        "system:serviceaccount:test:",
        "system:serviceaccount:test:we/b",
        "system:serviceaccount:te/../st:web",
        "system:serviceaccount:a:b:c",
    ] {
        assert_eq!(
            refusal("sub", json!(subject)),
            TokenError::Subject,
            "{subject}"
        );
    }
}

#[test]
fn clocks_may_differ_by_a_minute() {
    let issuer = Issuer::new();
    let now = get_current_timestamp();
    assert!(issuer.verify(|c| c["exp"] = json!(now - 50)).is_ok());
    assert!(issuer.verify(|c| c["nbf"] = json!(now + 50)).is_ok());
}

#[test]
fn sec_62_forged_tokens_are_refused() {
    let issuer = Issuer::new();
    let verify = |token: &str| issuer.verifier.verify(token).expect_err(token);
    let stranger = KeyPair::generate().expect("key");
    assert_eq!(
        verify(&sign(&stranger, &claims("test", "web"))),
        TokenError::Signature
    );
    let good = sign(&issuer.key, &claims("test", "web"));
    let mut parts = good.split('.');
    let (_, payload, signature) = (
        parts.next(),
        parts.next().expect("payload"),
        parts.next().expect("signature"),
    );
    // {"alg":"none"} is not even an algorithm of the parser.
    assert_eq!(
        verify(&format!("eyJhbGciOiJub25lIn0.{payload}.")),
        TokenError::Malformed
    );
    assert_eq!(
        verify(&format!("eyJhbGciOiJub25lIn0.{payload}.{signature}")),
        TokenError::Malformed
    );
    // The public key as an HMAC secret.
    let secret = EncodingKey::from_secret(issuer.key.public_key_pem().as_bytes());
    let confused = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims("test", "web"),
        &secret,
    )
    .expect("token");
    assert_eq!(verify(&confused), TokenError::UnknownKey);
    assert_eq!(verify(""), TokenError::Malformed);
    assert_eq!(verify("a.b.c"), TokenError::Malformed);
    assert_eq!(verify(&"a".repeat(MAX_BYTES + 1)), TokenError::TooLarge);
}

#[test]
fn keys_are_read_again() {
    let mut issuer = Issuer::new();
    let next = KeyPair::generate().expect("key");
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), next.public_key_pem()).expect("written");
    issuer.verifier.settings.key_file = file.path().into();
    assert_eq!(
        issuer.verifier.verify(&sign(&next, &claims("test", "web"))),
        Err(TokenError::Signature)
    );
    issuer.verifier.reload().expect("reloaded");
    assert!(
        issuer
            .verifier
            .verify(&sign(&next, &claims("test", "web")))
            .is_ok()
    );
    std::fs::write(file.path(), "broken").expect("written");
    issuer.verifier.reload().expect_err("broken");
    assert!(
        issuer
            .verifier
            .verify(&sign(&next, &claims("test", "web")))
            .is_ok()
    );
}
