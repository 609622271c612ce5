//! Service account tokens (JWT), as Kubernetes projects them into pods.
//!
//! Accepted is what the configured issuer signed, for our audience, within its time; everything else is refused with a
//! reason that names the claim, never the token.

use super::{
    caller::{Caller, Proof},
    issuer_keys::{IssuerKeys, KeyError},
};
use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use mesh_model::SpiffeId;
use serde::Deserialize;
use std::path::PathBuf;

/// Longest token taken, in bytes.
pub(super) const MAX_BYTES: usize = 16 << 10;
/// How far clocks may differ, in seconds.
pub(super) const SKEW_S: u64 = 60;
/// Prefix of a service account's `sub`.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// What tokens are checked against.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// File with the issuer's public keys (`--token-key`).
    pub key_file: PathBuf,
    /// Required `iss`; `None` accepts any that the keys signed (`--token-issuer`).
    pub issuer: Option<String>,
    /// Accepted audiences (`--token-audience`).
    pub audiences: Vec<String>,
}

/// Checks tokens.
#[derive(Debug)]
pub struct TokenVerifier {
    settings: TokenSettings,
    trust_domain: String,
    keys: ArcSwap<IssuerKeys>,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`MAX_BYTES`].
    #[error("the token is longer than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not a JWT.
    #[error("the token is not a JWT")]
    Malformed,
    /// No key for its algorithm and key id.
    #[error("no configured key has the token's key id and algorithm")]
    UnknownKey,
    /// Signed by somebody else.
    #[error("the token's signature does not verify")]
    Signature,
    /// Run out.
    #[error("the token has expired (exp)")]
    Expired,
    /// From the future.
    #[error("the token is not valid yet (nbf)")]
    NotYet,
    /// Meant for somebody else.
    #[error("the token's audience (aud) is not {0}")]
    Audience(String),
    /// From another issuer.
    #[error("the token's issuer (iss) is not {0}")]
    Issuer(String),
    /// A claim that is missing or malformed.
    #[error("the token's claim {0} is missing or malformed")]
    Claim(String),
    /// Not of a service account.
    #[error("the token's subject (sub) is not system:serviceaccount:<namespace>:<name>")]
    Subject,
    /// `sub` and `kubernetes.io` disagree.
    #[error("the token's claims sub and kubernetes.io name different service accounts")]
    Contradiction,
    /// Too many of that place were refused.
    #[error("too many refused tokens from this address: try again in {0} s")]
    TooMany(u64),
    /// The API server does not accept it.
    #[error("the API server does not accept the token: {0}")]
    Refused(String),
    /// The API server does not say.
    #[error("the API server cannot be asked for the token, try again: {0}")]
    Unavailable(String),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<KubernetesClaims>,
}

#[derive(Deserialize)]
struct KubernetesClaims {
    namespace: Option<String>,
    serviceaccount: Option<NamedObject>,
    pod: Option<NamedObject>,
}

#[derive(Deserialize)]
struct NamedObject {
    name: String,
}

impl TokenVerifier {
    /// Reads the keys. Identities will be of `trust_domain`.
    ///
    /// # Errors
    /// If the file cannot be read or holds no usable key.
    pub fn open(settings: TokenSettings, trust_domain: &str) -> Result<Self, KeyError> {
        let keys = IssuerKeys::from_file(&settings.key_file)?;
        Ok(Self {
            settings,
            trust_domain: trust_domain.into(),
            keys: ArcSwap::from_pointee(keys),
        })
    }

    /// Reads the keys again; what does not load leaves the old in force.
    ///
    /// # Errors
    /// As [`TokenVerifier::open`].
    pub fn reload(&self) -> Result<(), KeyError> {
        let keys = IssuerKeys::from_file(&self.settings.key_file)?;
        self.keys.store(keys.into());
        Ok(())
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// If it is not valid now, for us, by our issuer.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::TooLarge);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let mut outcome = Err(TokenError::UnknownKey);
        for candidate in self
            .keys
            .load()
            .candidates(header.kid.as_deref(), header.alg)
        {
            let validation = self.validation(header.alg);
            outcome = jsonwebtoken::decode::<Claims>(token, &candidate.key, &validation)
                .map_err(|e| self.reason(e.kind()));
            if !matches!(outcome, Err(TokenError::Signature)) {
                break;
            }
        }
        self.caller(outcome?.claims)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = SKEW_S;
        validation.validate_nbf = true;
        validation.set_audience(&self.settings.audiences);
        let mut required = vec!["exp", "aud", "sub"];
        if let Some(issuer) = &self.settings.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn reason(&self, kind: &ErrorKind) -> TokenError {
        match kind {
            ErrorKind::ExpiredSignature => TokenError::Expired,
            ErrorKind::ImmatureSignature => TokenError::NotYet,
            ErrorKind::InvalidAudience => {
                TokenError::Audience(self.settings.audiences.join(" or "))
            }
            ErrorKind::InvalidIssuer => {
                TokenError::Issuer(self.settings.issuer.clone().unwrap_or_default())
            }
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                TokenError::Claim(claim.clone())
            }
            ErrorKind::Json(_)
            | ErrorKind::Utf8(_)
            | ErrorKind::Base64(_)
            | ErrorKind::InvalidToken => TokenError::Malformed,
            _ => TokenError::Signature,
        }
    }

    fn caller(&self, claims: Claims) -> Result<Caller, TokenError> {
        let (namespace, service_account) = service_account(&claims.sub)?;
        let kubernetes = claims.kubernetes.as_ref();
        let contradicts = |claim: Option<&String>, value: &str| claim.is_some_and(|c| c != value);
        if contradicts(kubernetes.and_then(|k| k.namespace.as_ref()), namespace)
            || contradicts(
                kubernetes
                    .and_then(|k| k.serviceaccount.as_ref())
                    .map(|s| &s.name),
                service_account,
            )
        {
            return Err(TokenError::Contradiction);
        }
        Ok(Caller {
            identity: identity(&self.trust_domain, namespace, service_account),
            pod: claims.kubernetes.and_then(|k| k.pod).map(|pod| pod.name),
            proof: Proof::Token,
        })
    }
}

/// Namespace and name of the service account that a subject names.
pub(super) fn service_account(subject: &str) -> Result<(&str, &str), TokenError> {
    let name = subject.strip_prefix(SERVICE_ACCOUNT);
    name.and_then(|name| name.split_once(':'))
        .filter(|(namespace, name)| is_dns_name(namespace) && is_dns_name(name))
        .ok_or(TokenError::Subject)
}

/// The identity of a service account.
pub(super) fn identity(trust_domain: &str, namespace: &str, service_account: &str) -> SpiffeId {
    SpiffeId {
        trust_domain: trust_domain.into(),
        namespace: namespace.into(),
        service_account: service_account.into(),
    }
}

/// Whether `name` is an RFC 1123 subdomain, so that it can neither add path segments to an identity nor break a log.
fn is_dns_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

#[cfg(test)]
mod tests;
