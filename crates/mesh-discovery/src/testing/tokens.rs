//! Service account tokens as an API server would issue them.

use crate::ca::token::{TokenSettings, TokenVerifier};
use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp};
use rcgen::KeyPair;
use serde_json::{Value, json};

/// An issuer, and the verifier that trusts it.
pub(crate) struct Issuer {
    pub(crate) key: KeyPair,
    pub(crate) verifier: TokenVerifier,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), key.public_key_pem()).expect("written");
        let settings = TokenSettings {
            key_file: file.path().into(),
            issuer: Some("https://issuer".into()),
            audiences: vec!["istio-ca".into()],
        };
        let verifier = TokenVerifier::open(settings, "cluster.local").expect("verifier");
        Self { key, verifier }
    }
}

/// What a valid token of a service account claims.
pub(crate) fn claims(namespace: &str, service_account: &str) -> Value {
    let now = get_current_timestamp();
    json!({
        "iss": "https://issuer",
        "aud": ["istio-ca"],
        "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
        "exp": now + 600,
        "nbf": now - 10,
        "kubernetes.io": {
            "namespace": namespace,
            "serviceaccount": {"name": service_account, "uid": "1"},
            "pod": {"name": "web-0", "uid": "2"},
        },
    })
}

/// The token that claims this.
pub(crate) fn sign(key: &KeyPair, claims: &Value) -> String {
    let key = EncodingKey::from_ec_der(key.serialized_der());
    jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &key).expect("token")
}
