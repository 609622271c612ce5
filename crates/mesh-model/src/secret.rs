//! Certificates and trust, as the secret discovery service delivers them (Envoy `Secret`).

use crate::SecretName;
use std::fmt;

/// A named secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name, such as `default` or `ROOTCA`.
    pub name: SecretName,
    /// What it holds.
    pub value: SecretValue,
}

/// What a secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretValue {
    /// A certificate with its private key (Envoy `TlsCertificate`).
    Certificate {
        /// PEM: the leaf first, then intermediates.
        chain: Vec<u8>,
        /// PEM.
        key: PrivateKey,
    },
    /// Trusted roots (Envoy `CertificateValidationContext`), PEM.
    Validation {
        /// PEM, one or more certificates.
        trusted_ca: Vec<u8>,
    },
}

/// A private key in PEM. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(pub Vec<u8>);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_key() {
        let secret = Secret {
            name: "default".into(),
            value: SecretValue::Certificate {
                chain: b"chain".to_vec(),
                key: PrivateKey(b"sesame".to_vec()),
            },
        };
        assert!(
            !format!("{secret:?}").contains("sesame")
                && format!("{secret:?}").contains("[redacted]")
        );
    }
}
