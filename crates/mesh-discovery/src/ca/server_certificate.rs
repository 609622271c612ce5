//! The control plane's own certificate, which port 15012 shows: issued by our own authority, renewed at half life.
//!
//! Renewal builds a new TLS configuration and swaps it in; connections that stand keep theirs.

use super::{
    CertificateAuthority,
    authority::{Authority, SignError, provider},
};
use arc_swap::ArcSwap;
use rcgen::KeyPair;
use rustls::{ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Lifetime of the control plane's own certificate.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A TLS configuration that renews itself when asked to.
pub struct ServerCertificate {
    authority: Arc<CertificateAuthority>,
    names: Vec<String>,
    current: ArcSwap<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    signed_by: Arc<Authority>,
    renew_at: SystemTime,
}

/// Why there is no certificate for the control plane.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateError {
    /// No key.
    #[error("cannot make a key")]
    Key(#[source] rcgen::Error),
    /// Not signed.
    #[error("cannot sign the control plane's own certificate")]
    Sign(#[from] SignError),
    /// TLS refuses it.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The roots cannot verify clients.
    #[error("cannot set up the verification of client certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl ServerCertificate {
    /// Issues the first certificate, for DNS names and addresses (`--dns-names`).
    ///
    /// # Errors
    /// If it cannot be signed, or a name is not valid.
    pub fn issue(
        authority: Arc<CertificateAuthority>,
        names: Vec<String>,
    ) -> Result<Self, ServerCertificateError> {
        let first = Current::issue(authority.authority(), &names, SystemTime::now())?;
        Ok(Self {
            authority,
            names,
            current: ArcSwap::from_pointee(first),
        })
    }

    /// The configuration for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// Renews if half of the lifetime has passed or the authority has changed, and says whether it did.
    ///
    /// # Errors
    /// As [`ServerCertificate::issue`]; the old one then stays.
    pub fn renew(&self, now: SystemTime) -> Result<bool, ServerCertificateError> {
        let authority = self.authority.authority();
        let current = self.current.load();
        let due = now >= current.renew_at || !Arc::ptr_eq(&authority, &current.signed_by);
        if due {
            self.current
                .store(Arc::new(Current::issue(authority, &self.names, now)?));
        }
        Ok(due)
    }
}

impl Current {
    fn issue(
        authority: Arc<Authority>,
        names: &[String],
        now: SystemTime,
    ) -> Result<Self, ServerCertificateError> {
        let key = KeyPair::generate().map_err(ServerCertificateError::Key)?;
        let leaf = authority.sign_server(&key, names, LIFETIME, now)?;
        let life = leaf.not_after.duration_since(now).unwrap_or_default();
        let mut chain = vec![leaf.der];
        chain.extend(authority.intermediates().ders().cloned());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // Optional: a fresh workload has no certificate yet and authenticates by token.
        let clients = WebPkiClientVerifier::builder_with_provider(
            Arc::new(authority.trust_store()?),
            provider(),
        )
        .allow_unauthenticated()
        .build()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            signed_by: authority,
            renew_at: now + life / 2,
        })
    }
}

#[cfg(test)]
mod tests;
