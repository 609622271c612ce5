//! Service account tokens, signed as an API server signs projected ones.

use anyhow::{Context, Result};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `iss` of the tokens.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
/// `aud` of the tokens.
pub(crate) const AUDIENCE: &str = "istio-ca";
/// How long a token lives.
const LIFETIME: Duration = Duration::from_secs(43_200);

/// Signs tokens with a key of its own.
pub(crate) struct Issuer {
    key: KeyPair,
}

impl Issuer {
    /// A new issuer.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            key: KeyPair::generate().context("token key")?,
        })
    }

    /// The public key, PEM.
    pub(crate) fn public_key(&self) -> String {
        self.key.public_key_pem()
    }

    /// A token for a pod's service account.
    pub(crate) fn token(
        &self,
        namespace: &str,
        service_account: &str,
        pod: &str,
    ) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "iss": ISSUER,
            "aud": [AUDIENCE],
            "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME.as_secs(),
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": service_account},
                "pod": {"name": pod},
            },
        });
        let key =
            EncodingKey::from_ec_pem(self.key.serialize_pem().as_bytes()).context("token key")?;
        encode(&Header::new(Algorithm::ES256), &claims, &key).context("signing a token")
    }
}
