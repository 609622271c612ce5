//! Certificate signing requests (PKCS #10) from outside.
//!
//! Only the public key is kept: names, usages and other extensions of a request are not even parsed into a certificate,
//! so nothing a client writes there can end up in one.

use rcgen::{PublicKeyData, SubjectPublicKeyInfo};
use rustls_pki_types::{
    CertificateSigningRequestDer,
    pem::{self, PemObject},
};
use x509_parser::{
    certification_request::X509CertificationRequest, prelude::FromDer, public_key::PublicKey, x509,
};

/// Largest request taken, in bytes of PEM.
pub const MAX_BYTES: usize = 64 << 10;
/// Weakest RSA key taken, in bits.
const MIN_RSA_BITS: usize = 2048;
/// Strongest RSA key taken, in bits: verifying costs peers time that grows with the square.
const MAX_RSA_BITS: usize = 8192;

/// Kinds of keys that every peer of a mesh can verify.
static KEY_TYPES: [&rcgen::SignatureAlgorithm; 4] = [
    &rcgen::PKCS_ECDSA_P256_SHA256,
    &rcgen::PKCS_ECDSA_P384_SHA384,
    &rcgen::PKCS_ED25519,
    &rcgen::PKCS_RSA_SHA256,
];

/// A request whose signature proves that the sender holds the private key.
pub struct SigningRequest {
    public_key: SubjectPublicKeyInfo,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Larger than [`MAX_BYTES`].
    #[error("{0} bytes, at most {MAX_BYTES} are taken")]
    TooLarge(usize),
    /// Not PEM.
    #[error("not a PEM block `CERTIFICATE REQUEST`")]
    Pem(#[source] pem::Error),
    /// Not PKCS #10.
    #[error("not a PKCS #10 certificate request")]
    Malformed,
    /// Signed by another key, or with an algorithm that we do not know.
    #[error("its signature does not verify with its own public key")]
    Signature(#[source] x509_parser::error::X509Error),
    /// A key type that peers could not use.
    #[error("its key type is not supported: use ECDSA P-256 or P-384, Ed25519, or RSA")]
    KeyType,
    /// An RSA key of the wrong size.
    #[error("its RSA key has {0} bits, {MIN_RSA_BITS} to {MAX_RSA_BITS} are taken")]
    RsaBits(usize),
}

impl SigningRequest {
    /// Parses and verifies a request in PEM.
    ///
    /// # Errors
    /// If it is too large, malformed, not signed by its own key, or the key is of a kind that is not taken.
    pub fn from_pem(text: &str) -> Result<Self, RequestError> {
        if text.len() > MAX_BYTES {
            return Err(RequestError::TooLarge(text.len()));
        }
        let der = CertificateSigningRequestDer::from_pem_slice(text.as_bytes())
            .map_err(RequestError::Pem)?;
        let (rest, csr) =
            X509CertificationRequest::from_der(&der).map_err(|_| RequestError::Malformed)?;
        verified(rest, &csr)
    }

    /// The key to certify.
    pub fn public_key(&self) -> &SubjectPublicKeyInfo {
        &self.public_key
    }
}

fn verified(
    rest: &[u8],
    csr: &X509CertificationRequest<'_>,
) -> Result<SigningRequest, RequestError> {
    if !rest.is_empty() {
        return Err(RequestError::Malformed);
    }
    let public_key = check_key(&csr.certification_request_info.subject_pki)?;
    csr.verify_signature().map_err(RequestError::Signature)?;
    Ok(SigningRequest { public_key })
}

/// The key, if peers will accept a certificate for it.
fn check_key(key: &x509::SubjectPublicKeyInfo<'_>) -> Result<SubjectPublicKeyInfo, RequestError> {
    if let Ok(PublicKey::RSA(rsa)) = key.parsed()
        && !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&rsa.key_size())
    {
        return Err(RequestError::RsaBits(rsa.key_size()));
    }
    SubjectPublicKeyInfo::from_der(key.raw)
        .ok()
        .filter(|key| KEY_TYPES.contains(&key.algorithm()))
        .ok_or(RequestError::KeyType)
}

#[cfg(test)]
mod tests;
