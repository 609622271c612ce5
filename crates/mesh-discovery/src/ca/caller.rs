//! Who calls: the identity behind a request, proven by a client certificate or a token.

use super::{
    review::TokenReviewer,
    token::{TokenError, TokenVerifier},
};
use mesh_model::SpiffeId;
use rustls_pki_types::CertificateDer;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};
use x509_parser::extensions::GeneralName;

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
    Certificate,
    /// A service account token.
    Token,
}

/// What is known of a connection; the server puts it into the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// The identity of its client certificate, which the TLS handshake has verified.
    pub identity: Option<SpiffeId>,
}

/// Why a caller is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// Neither certificate nor token.
    #[error("no credentials: send a client certificate or `authorization: Bearer <token>`")]
    None,
    /// An `authorization` header of another kind.
    #[error("the authorization header is not `Bearer <token>`")]
    Scheme,
    /// Tokens cannot be checked.
    #[error("tokens cannot be checked here: no issuer key is configured (--token-key)")]
    NoIssuer,
    /// A refused token.
    #[error("{0}")]
    Token(#[from] TokenError),
}

impl CallerError {
    /// Whether too many were refused.
    pub fn is_too_many(&self) -> bool {
        matches!(self, Self::Token(TokenError::TooMany(_)))
    }

    /// Whether the same credentials may be accepted later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Token(TokenError::Unavailable(_)))
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
#[derive(Debug, Default)]
pub struct Authenticator {
    tokens: Tokens,
}

/// Who checks tokens.
#[derive(Debug, Default)]
pub enum Tokens {
    /// Nobody: they are refused.
    #[default]
    None,
    /// We do, by the keys of their issuer.
    Keys(TokenVerifier),
    /// The API server.
    Reviews(Box<TokenReviewer>),
}

impl Authenticator {
    /// With what checks tokens.
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens }
    }

    /// Who calls. A certificate, which the TLS handshake has verified, comes first: a workload whose token has run out can
    /// still renew. `address` is where it comes from.
    ///
    /// # Errors
    /// If nothing proves an identity.
    pub async fn authenticate(
        &self,
        address: IpAddr,
        certificate: Option<&SpiffeId>,
        authorization: Option<&str>,
    ) -> Result<Caller, CallerError> {
        if let Some(identity) = certificate {
            return Ok(Caller {
                identity: identity.clone(),
                pod: None,
                proof: Proof::Certificate,
            });
        }
        let authorization = authorization.ok_or(CallerError::None)?;
        let token = match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(CallerError::Scheme),
        };
        match &self.tokens {
            Tokens::None => Err(CallerError::NoIssuer),
            Tokens::Keys(keys) => Ok(keys.verify(token)?),
            Tokens::Reviews(reviews) => Ok(reviews.verify(token, address).await?),
        }
    }

    /// The verifier of tokens by keys, if there is one.
    pub fn keys(&self) -> Option<&TokenVerifier> {
        match &self.tokens {
            Tokens::Keys(keys) => Some(keys),
            Tokens::None | Tokens::Reviews(_) => None,
        }
    }
}

/// The identity in a workload's certificate: its only URI SAN. A certificate with none, or several, proves nobody
/// (SPIFFE X.509-SVID §2).
pub fn identity_of(certificate: &CertificateDer<'_>, trust_domain: &str) -> Option<SpiffeId> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
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
mod tests {
    use super::*;

    fn certificate(uris: &[&str]) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = uris
            .iter()
            .map(|uri| rcgen::SanType::URI((*uri).try_into().expect("ASCII")))
            .collect();
        let key = rcgen::KeyPair::generate().expect("key");
        params.self_signed(&key).expect("certificate").der().clone()
    }

    #[test]
    fn one_uri_of_our_trust_domain_is_an_identity() {
        let good = "spiffe://cluster.local/ns/a/sa/b";
        let id = |uris: &[&str]| {
            identity_of(&certificate(uris), "cluster.local").map(|id| id.to_string())
        };
        assert_eq!(id(&[good]).as_deref(), Some(good));
        assert_eq!(id(&[good, "spiffe://cluster.local/ns/c/sa/d"]), None);
        assert_eq!(id(&["spiffe://other/ns/a/sa/b"]), None);
        assert_eq!(id(&[]), None);
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
            assert_eq!(
                nobody
                    .authenticate([10, 0, 0, 1].into(), None, header)
                    .await,
                Err(why)
            );
        }
    }
}
