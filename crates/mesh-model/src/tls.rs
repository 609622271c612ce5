//! TLS contexts of both directions. Certificates are named, never held: secrets arrive on their own and rotate.

use crate::{SecretName, matcher::StringMatcher};

/// Version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// What both directions share (Envoy `CommonTlsContext`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonTls {
    /// Lowest version offered or accepted.
    pub min_version: TlsVersion,
    /// Highest version offered or accepted.
    pub max_version: TlsVersion,
    /// Cipher suites of TLS 1.2 by OpenSSL's names; empty: all that the TLS library considers safe.
    pub cipher_suites: Vec<String>,
    /// Secret with our certificate and key; `None`: no certificate is presented.
    pub certificate: Option<SecretName>,
    /// How the peer's certificate is checked; `None`: it is not.
    pub validation: Option<PeerValidation>,
    /// ALPN protocols, most wanted first.
    pub alpn: Vec<String>,
}

/// How a peer's certificate is checked (Envoy `CombinedCertificateValidationContext`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerValidation {
    /// Secret with the trusted roots.
    pub trusted_ca: SecretName,
    /// The peer's URI or DNS SANs must match one of these; empty: any certificate under the roots will do.
    pub subject_alt_names: Vec<StringMatcher>,
}

/// TLS towards a client (Envoy `DownstreamTlsContext`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownstreamTls {
    /// What both directions share.
    pub common: CommonTls,
    /// A client without a certificate is refused.
    pub require_client_certificate: bool,
}

/// TLS towards a server (Envoy `UpstreamTlsContext`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// What both directions share.
    pub common: CommonTls,
    /// Server name sent; empty: none.
    pub sni: String,
}
