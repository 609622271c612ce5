//! TLS of both sides: contexts that follow their secrets, SPIFFE verification, and the byte stream itself.
//!
//! A context is compiled once, from the model, and holds the slots of the secrets it names. The rustls configuration in
//! it is made when it is first used and again when a secret has changed; connections that are established live on. A
//! secret that has not arrived fails the handshake closed: nothing here falls back to plaintext.

pub mod client; //  towards servers
pub mod hello; //   what a ClientHello says, read before anything is decided
pub mod san; //     subject alternative names
pub mod secret; //  certificates and roots by name
pub mod server; //  towards clients
pub mod stream; //  the bytes of a connection, decrypted or not
pub mod verify; //  chain first, then names

pub use client::{Connected, UpstreamContext};
pub use secret::Secrets;
pub use server::DownstreamContext;
pub use stream::{Rewind, Stream};

use mesh_model::{SecretName, tls::TlsVersion};
use mesh_runtime::cert_time;
use rustls::SupportedProtocolVersion;
use std::sync::Arc;

/// Why TLS could not be established.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A secret that the context names has not arrived.
    #[error("secret `{0}` has not arrived")]
    SecretMissing(SecretName),
    /// A secret is of the wrong kind for its place.
    #[error("secret `{0}` does not hold {1}")]
    SecretKind(SecretName, &'static str),
    /// The context can't be executed with the secrets at hand.
    #[error("TLS context")]
    Context(#[source] rustls::Error),
    /// The server name can't be sent.
    #[error("`{0}` can't be sent as a server name")]
    ServerName(String),
    /// The handshake failed.
    #[error("TLS handshake")]
    Handshake(#[source] std::io::Error),
    /// The handshake failed because of the time: by one of the clocks a certificate is over, or not valid yet.
    #[error("TLS handshake: {reason}", reason = cert_time::REASON)]
    CertificateTime(#[source] std::io::Error),
    /// The handshake took too long.
    #[error("TLS handshake timed out")]
    Timeout,
}

impl Error {
    /// A handshake that failed.
    fn handshake(error: std::io::Error) -> Self {
        match cert_time::is_reason_of(&error) {
            true => Self::CertificateTime(error),
            false => Self::Handshake(error),
        }
    }
}

/// The cryptography that all contexts use.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<rustls::crypto::CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

/// The versions from `min` to `max`, newest first.
fn versions(min: TlsVersion, max: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    let all = [
        (TlsVersion::V1_3, &rustls::version::TLS13),
        (TlsVersion::V1_2, &rustls::version::TLS12),
    ];
    all.into_iter()
        .filter(|(version, _)| (min..=max).contains(version))
        .map(|(_, supported)| supported)
        .collect()
}
