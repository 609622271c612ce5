//! The keys that tokens are checked with: a public key in PEM or a JWK set (`--token-key`).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use std::{fs, io, path::PathBuf};
use x509_parser::{prelude::FromDer, public_key::PublicKey, x509::SubjectPublicKeyInfo};

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Keys of one issuer. Never symmetric ones: who can check a token must not be able to make one.
#[derive(Debug)]
pub struct IssuerKeys {
    keys: Vec<IssuerKey>,
}

/// One key, with the algorithms that may be used with it.
#[derive(Debug)]
pub struct IssuerKey {
    /// Its id, as in the header of tokens.
    pub id: Option<String>,
    /// What it may verify.
    pub algorithms: Vec<Algorithm>,
    /// The key.
    pub key: DecodingKey,
}

/// Why a key file is refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// JSON that is no JWK set.
    #[error("not a JWK set")]
    Json(#[source] serde_json::Error),
    /// Neither PEM nor JSON.
    #[error("neither a public key in PEM (`-----BEGIN PUBLIC KEY-----`) nor a JWK set in JSON")]
    Format,
    /// A private key, which has no business here.
    #[error("holds a private key: give the public one only")]
    Private,
    /// No key in the set can verify signatures.
    #[error("holds no RSA, P-256, P-384 or Ed25519 key for signatures")]
    NoKey,
    /// A key does not parse.
    #[error("holds a key that does not parse")]
    Key(#[source] jsonwebtoken::errors::Error),
}

impl IssuerKeys {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or holds no usable public key.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        let path = path.into();
        let text = fs::read_to_string(&path).map_err(|source| KeyError::Read { path, source })?;
        Self::from_text(&text)
    }

    /// Reads PEM or JSON.
    ///
    /// # Errors
    /// If it holds no usable public key.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let keys = match text.trim_start() {
            json if json.starts_with('{') => from_jwks(json)?,
            pem if pem.contains("PRIVATE KEY-----") => return Err(KeyError::Private),
            pem => from_pem(pem)?,
        };
        match keys.is_empty() {
            true => Err(KeyError::NoKey),
            false => Ok(Self { keys }),
        }
    }

    /// The keys that may have signed a token with this header: those of its id, or all where either has none.
    pub fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &IssuerKey> {
        self.keys.iter().filter(move |key| {
            let same = match (&key.id, id) {
                (Some(own), Some(wanted)) => own == wanted,
                _ => true,
            };
            same && key.algorithms.contains(&algorithm)
        })
    }
}

fn from_pem(text: &str) -> Result<Vec<IssuerKey>, KeyError> {
    SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes())
        .map(|der| pem_key(&der.map_err(|_| KeyError::Format)?))
        .collect::<Result<Vec<_>, _>>()
        .and_then(|keys| {
            if keys.is_empty() {
                Err(KeyError::Format)
            } else {
                Ok(keys)
            }
        })
}

fn pem_key(der: &[u8]) -> Result<IssuerKey, KeyError> {
    let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| KeyError::Format)?;
    let raw = &info.subject_public_key.data;
    let (algorithms, key) = match info.parsed() {
        Ok(PublicKey::RSA(_)) => (RSA.to_vec(), DecodingKey::from_rsa_der(raw)),
        Ok(PublicKey::EC(point)) => (
            curve_algorithms(point.key_size())?,
            DecodingKey::from_ec_der(raw),
        ),
        Ok(PublicKey::Unknown(_)) if raw.len() == 32 => {
            (vec![Algorithm::EdDSA], DecodingKey::from_ed_der(raw))
        }
        _ => return Err(KeyError::NoKey),
    };
    Ok(IssuerKey {
        id: None,
        algorithms,
        key,
    })
}

fn curve_algorithms(bits: usize) -> Result<Vec<Algorithm>, KeyError> {
    match bits {
        256 => Ok(vec![Algorithm::ES256]),
        384 => Ok(vec![Algorithm::ES384]),
        _ => Err(KeyError::NoKey),
    }
}

fn from_jwks(text: &str) -> Result<Vec<IssuerKey>, KeyError> {
    let set: JwkSet = serde_json::from_str(text).map_err(KeyError::Json)?;
    set.keys
        .iter()
        .filter(|jwk| !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)))
        .filter_map(|jwk| Some((jwk, jwk_algorithms(jwk)?)))
        .map(|(jwk, algorithms)| {
            Ok(IssuerKey {
                id: jwk.common.key_id.clone(),
                algorithms,
                key: DecodingKey::from_jwk(jwk).map_err(KeyError::Key)?,
            })
        })
        .collect()
}

/// What a JWK may verify, or `None` for keys that are not for us.
fn jwk_algorithms(jwk: &Jwk) -> Option<Vec<Algorithm>> {
    let possible = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA.to_vec(),
        AlgorithmParameters::EllipticCurve(p) => match p.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    let Some(named) = jwk.common.key_algorithm else {
        return Some(possible);
    };
    let only: Vec<_> = possible
        .into_iter()
        .filter(|a| is_named(*a, named))
        .collect();
    (!only.is_empty()).then_some(only)
}

fn is_named(algorithm: Algorithm, named: KeyAlgorithm) -> bool {
    named.to_string().parse() == Ok(algorithm)
}

#[cfg(test)]
mod tests;
