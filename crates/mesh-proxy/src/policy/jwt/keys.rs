//! Key sets, and the signatures that they verify.

use super::{Status, Token, json};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto::verify};
use serde_json::{Map, Value};

/// Most keys of a set that are looked at.
const MOST: usize = 64;

/// A JSON Web Key Set (RFC 7517). Keys that can't be used are left out.
pub(crate) struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    // As the set says it; `None`: any of its kind.
    algorithm: Option<String>,
    kind: Kind,
    key: DecodingKey,
}

/// What a key can verify.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
    Secret,
}

impl Kind {
    fn of(algorithm: Algorithm) -> Option<Self> {
        Some(match algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Self::Secret,
            Algorithm::ES256 => Self::P256,
            Algorithm::ES384 => Self::P384,
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Self::Rsa,
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => Self::Rsa,
            Algorithm::EdDSA => Self::Ed25519,
            _ => return None,
        })
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys may be secret.
        write!(f, "KeySet({} keys)", self.0.len())
    }
}

impl KeySet {
    /// A set without keys.
    pub(crate) const fn empty() -> Self {
        Self(Vec::new())
    }

    /// The set in `text`; `None`: it is none.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let set = json::object(text)?;
        let keys = set.get("keys")?.as_array()?;
        let keys = keys.iter().filter_map(Value::as_object).take(MOST);
        Some(Self(keys.filter_map(Key::read).collect()))
    }

    /// Whether there is no key.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verifies the signature of `token`.
    ///
    /// # Errors
    /// If no key of the set made it.
    pub(crate) fn verify(&self, token: &Token<'_>) -> Result<(), Status> {
        if self.is_empty() {
            return Err(Status::NoKeys);
        }
        let (signed, signature) = token.signed();
        let mut known = false;
        for key in self.0.iter().filter(|key| key.is_meant(token)) {
            known = true;
            let fits = Kind::of(token.algorithm()) == Some(key.kind);
            let made = || verify(signature, signed.as_bytes(), &key.key, token.algorithm());
            if fits && made().unwrap_or(false) {
                return Ok(());
            }
        }
        Err(match known {
            true => Status::VerificationFails,
            false => Status::NoSuchKey,
        })
    }
}

impl Key {
    fn read(key: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("use") == Some("enc") {
            return None;
        }
        let curve = (text("kty")?, text("crv"));
        let (kind, key) = match curve {
            ("RSA", _) => (
                Kind::Rsa,
                DecodingKey::from_rsa_components(text("n")?, text("e")?).ok()?,
            ),
            ("EC", Some(curve)) => (
                match curve {
                    "P-256" => Kind::P256,
                    "P-384" => Kind::P384,
                    _ => return None,
                },
                DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?,
            ),
            ("OKP", Some("Ed25519")) => (
                Kind::Ed25519,
                DecodingKey::from_ed_components(text("x")?).ok()?,
            ),
            ("oct", _) => {
                let secret = URL_SAFE_NO_PAD.decode(text("k")?).ok()?;
                // An empty secret is everybody's.
                if secret.is_empty() {
                    return None;
                }
                (Kind::Secret, DecodingKey::from_secret(&secret))
            }
            _ => return None,
        };
        let some = |name| text(name).filter(|t| !t.is_empty()).map(str::to_owned);
        Some(Self {
            id: some("kid"),
            algorithm: some("alg"),
            kind,
            key,
        })
    }

    /// Whether `token` may mean this key, by what both say.
    fn is_meant(&self, token: &Token<'_>) -> bool {
        let other_id = matches!((&self.id, token.key()), (Some(own), Some(id)) if own != id);
        let algorithm = token.header().get("alg").and_then(Value::as_str);
        let other = self
            .algorithm
            .as_deref()
            .is_some_and(|a| Some(a) != algorithm);
        !other_id && !other
    }
}
