//! Who calls: the identity behind a request, proven by a token or, where nobody can check that, by a client certificate.
//!
//! A token says that its pod is alive, a certificate only that it was when it was issued: were it enough for the next one,
//! the key of a deleted pod would be good for ever. So it stands in for a token only while that can't be checked, and for
//! signing only until some time after the last token that was: a certificate that was bought by another begins when that
//! one began, so its begin says when that was, to every replica and after every restart.

use super::{
    review::TokenReviewer,
    token::{TokenError, TokenVerifier},
};
use mesh_model::SpiffeId;
use rustls_pki_types::CertificateDer;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

/// How long a workload may renew by its certificate alone, if nothing is said.
pub const USUAL_PATIENCE: Duration = Duration::from_secs(72 * 3600);

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its identity.
    pub identity: SpiffeId,
    /// The pod that a token is bound to.
    pub pod: Option<String>,
    /// How it was proven.
    pub proof: Proof,
}

/// How an identity was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A client certificate of the mesh.
    Certificate {
        /// When it began to be valid, which is when a token was checked last.
        begin: SystemTime,
    },
    /// A service account token.
    Token,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read the configuration of its namespace.
    Configuration,
    /// The next certificate.
    Signing,
}

/// What is known of a connection; the server puts it into the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// Its client certificate, which the TLS handshake has verified.
    pub certificate: Option<PeerCertificate>,
    /// Since when it stands.
    pub since: Instant,
}

/// What a verified client certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Whose it is.
    pub identity: SpiffeId,
    /// Begin of its validity.
    pub begin: SystemTime,
    /// End of its validity: a connection may stand longer.
    pub end: SystemTime,
}

/// Why a caller is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// Neither certificate nor token.
    #[error("no credentials: send a client certificate or `authorization: Bearer <token>`")]
    None,
    /// A certificate where a token is wanted.
    #[error(
        "a certificate is not renewed by itself where tokens are checked: send `authorization: Bearer <token>` beside it"
    )]
    NoToken,
    /// An `authorization` header of another kind.
    #[error("the authorization header is not `Bearer <token>`")]
    Scheme,
    /// Tokens cannot be checked.
    #[error("tokens cannot be checked here: no issuer key is configured (--token-key)")]
    NoIssuer,
    /// A refused token.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// A certificate that stands in for a token for too long.
    #[error(
        "{reason}; a certificate stands in for {} h, and that of the caller was bought by a token {} h ago",
        patience.as_secs() / 3600,
        age.as_secs() / 3600
    )]
    TooLongAgo {
        /// Why the token is not checked.
        reason: Box<CallerError>,
        /// For how long a certificate stands in.
        patience: Duration,
        /// How long ago a token was checked.
        age: Duration,
    },
}

impl CallerError {
    /// Whether too many were refused.
    pub fn is_too_many(&self) -> bool {
        matches!(self, Self::Token(TokenError::TooMany(_)))
    }

    /// Whether the same credentials may be accepted later.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Token(TokenError::Unavailable(_)) | Self::TooLongAgo { .. }
        )
    }

    /// Whether nobody has said anything about the token.
    fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Token(TokenError::Unavailable(_)) | Self::NoIssuer
        )
    }
}

impl Caller {
    /// What rate limits count by: the pod where it is known, else the identity.
    pub fn key(&self) -> String {
        match &self.pod {
            Some(pod) => format!("{}/{pod}", self.identity),
            None => self.identity.to_string(),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

/// Checks credentials. Shared by the certificate service and ADS.
#[derive(Debug)]
pub struct Authenticator {
    tokens: Tokens,
    patience: Duration,
}

/// Who checks tokens.
#[derive(Debug, Default)]
pub enum Tokens {
    /// Nobody: certificates are all there is.
    #[default]
    None,
    /// We do, by the keys of their issuer.
    Keys(TokenVerifier),
    /// The API server.
    Reviews(Box<TokenReviewer>),
}

impl Default for Authenticator {
    fn default() -> Self {
        Self::new(Tokens::None)
    }
}

impl Authenticator {
    /// With what checks tokens.
    pub fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            patience: USUAL_PATIENCE,
        }
    }

    /// The same, where a certificate stands in for a token that can't be checked for `patience` after the last that was.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Who calls from `address`: who its token says, or, while nobody can say whose that is, its certificate. A token that
    /// is refused is the end of it.
    ///
    /// # Errors
    /// If nothing proves an identity.
    pub async fn authenticate(
        &self,
        address: IpAddr,
        certificate: Option<&PeerCertificate>,
        authorization: Option<&str>,
        purpose: Purpose,
    ) -> Result<Caller, CallerError> {
        let now = SystemTime::now();
        let certificate = certificate.filter(|certificate| now < certificate.end);
        let Some(authorization) = authorization else {
            let certificate = certificate.ok_or(CallerError::None)?;
            return match (purpose, &self.tokens) {
                (Purpose::Configuration, _) | (_, Tokens::None) => Ok(certificate.caller()),
                (Purpose::Signing, _) => Err(CallerError::NoToken),
            };
        };
        let token = match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(CallerError::Scheme),
        };
        match (
            self.check(token, address, certificate.is_some()).await,
            certificate,
        ) {
            (Err(reason), Some(certificate)) if reason.is_silence() => {
                self.stand_in(certificate, reason, purpose, now)
            }
            (checked, _) => checked,
        }
    }

    async fn check(
        &self,
        token: &str,
        address: IpAddr,
        has_certificate: bool,
    ) -> Result<Caller, CallerError> {
        let reviews = match &self.tokens {
            Tokens::None => return Err(CallerError::NoIssuer),
            Tokens::Keys(keys) => return Ok(keys.verify(token)?),
            Tokens::Reviews(reviews) => reviews,
        };
        match reviews.verify(token, address).await {
            // The next token would come from the API server, too: while that is away, its end says nothing.
            Err(TokenError::Expired) if has_certificate => {
                match reviews.ask_again(token, address).await {
                    Err(away @ TokenError::Unavailable(_)) => Err(away.into()),
                    _ => Err(TokenError::Expired.into()),
                }
            }
            checked => Ok(checked?),
        }
    }

    /// The caller of a certificate instead of that of a token that nobody has said anything about.
    fn stand_in(
        &self,
        certificate: &PeerCertificate,
        reason: CallerError,
        purpose: Purpose,
        now: SystemTime,
    ) -> Result<Caller, CallerError> {
        let age = now.duration_since(certificate.begin).unwrap_or_default();
        let is_bounded = purpose == Purpose::Signing && !matches!(self.tokens, Tokens::None);
        if is_bounded && age >= self.patience {
            return Err(CallerError::TooLongAgo {
                reason: Box::new(reason),
                patience: self.patience,
                age,
            });
        }
        let caller = certificate.caller();
        tracing::warn!(%caller, ?purpose, %reason, "accepted a certificate instead of a token that cannot be checked");
        Ok(caller)
    }

    /// The verifier of tokens by keys, if there is one.
    pub fn keys(&self) -> Option<&TokenVerifier> {
        match &self.tokens {
            Tokens::Keys(keys) => Some(keys),
            Tokens::None | Tokens::Reviews(_) => None,
        }
    }
}

impl PeerCertificate {
    /// What a certificate says of a workload of this trust domain; `None`: it is none of a workload.
    pub fn read(certificate: &CertificateDer<'_>, trust_domain: &str) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self {
            identity: identity(&parsed, trust_domain)?,
            begin: validity.not_before.to_datetime().into(),
            end: validity.not_after.to_datetime().into(),
        })
    }

    fn caller(&self) -> Caller {
        Caller {
            identity: self.identity.clone(),
            pod: None,
            proof: Proof::Certificate { begin: self.begin },
        }
    }
}

/// The identity in a workload's certificate: its only URI SAN. A certificate with none, or several, proves nobody
/// (SPIFFE X.509-SVID §2).
pub fn identity_of(certificate: &CertificateDer<'_>, trust_domain: &str) -> Option<SpiffeId> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    identity(&parsed, trust_domain)
}

fn identity(certificate: &X509Certificate<'_>, trust_domain: &str) -> Option<SpiffeId> {
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    let only = uris.next().filter(|_| uris.next().is_none())?;
    only.parse()
        .ok()
        .filter(|id: &SpiffeId| id.trust_domain == trust_domain)
}

#[cfg(test)]
mod tests;
