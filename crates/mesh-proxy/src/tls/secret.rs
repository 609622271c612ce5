//! Certificates and roots by name, replaced while they are in use.

use crate::slot::{Slot, Slots};
use mesh_model::{
    SecretName,
    secret::{PrivateKey, Secret, SecretValue},
};
use parking_lot::Mutex;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

/// A secret in the form that contexts use.
#[derive(Debug)]
pub enum Material {
    /// Our certificate with its key.
    Certificate {
        /// Chain and key.
        key: Arc<CertifiedKey>,
        /// URI SAN of the leaf: who we are.
        uri_san: Option<Arc<str>>,
    },
    /// Trusted roots.
    Roots(Arc<RootCertStore>),
}

/// The slot of a secret.
pub type SecretSlot = Slot<SecretName, Material>;

/// Why a secret is refused; the one in force stays.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSecret {
    /// No certificate in the PEM.
    #[error("secret `{0}` holds no certificate in PEM")]
    NoCertificate(SecretName),
    /// The PEM or a certificate in it is broken.
    #[error("certificate of secret `{0}`")]
    Certificate(SecretName, #[source] rustls::Error),
    /// The PEM can't be read.
    #[error("PEM of secret `{0}`")]
    Pem(SecretName, #[source] rustls::pki_types::pem::Error),
    /// The key is of an unknown kind, or is not the certificate's.
    #[error("private key of secret `{0}`")]
    Key(SecretName, #[source] rustls::Error),
}

/// All secrets of the process.
#[derive(Debug, Default)]
pub struct Secrets {
    slots: Slots<SecretName, Material>,
    // What the admin interface shows.
    received: Mutex<BTreeMap<SecretName, Received>>,
}

/// A secret as it was received, for the admin interface.
#[derive(Clone, Debug)]
pub struct Received {
    /// The secret; its key is never printed.
    pub secret: Secret,
    /// When it came.
    pub last_updated: SystemTime,
}

impl Secrets {
    /// The slot of the secret of that name, empty until [`Secrets::set`].
    pub fn slot(&self, name: &SecretName) -> Arc<SecretSlot> {
        self.slots.slot(name)
    }

    /// Puts a secret in force. Handshakes from now on use it; established connections live on.
    ///
    /// # Errors
    /// If it can't be used; then the one in force stays.
    pub fn set(&self, secret: Secret) -> Result<(), InvalidSecret> {
        let material = material(&secret)?;
        self.slots.slot(&secret.name).set(Some(Arc::new(material)));
        let received = Received {
            last_updated: SystemTime::now(),
            secret,
        };
        self.received
            .lock()
            .insert(received.secret.name.clone(), received);
        Ok(())
    }

    /// All secrets, by name.
    pub fn status(&self) -> Vec<Received> {
        self.received.lock().values().cloned().collect()
    }
}

fn material(secret: &Secret) -> Result<Material, InvalidSecret> {
    let name = || secret.name.clone();
    match &secret.value {
        SecretValue::Certificate { chain, key } => {
            let key = certificate(&secret.name, chain, key)?;
            let uri_san = key
                .cert
                .first()
                .and_then(|leaf| super::san::first_uri(leaf));
            Ok(Material::Certificate { key, uri_san })
        }
        SecretValue::Validation { trusted_ca } => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(&secret.name, trusted_ca)? {
                roots
                    .add(certificate)
                    .map_err(|e| InvalidSecret::Certificate(name(), e))?;
            }
            Ok(Material::Roots(Arc::new(roots)))
        }
    }
}

/// The certificate of a secret, with its key.
///
/// # Errors
/// If it can't be used, or the secret is none of a certificate.
pub(crate) fn certified(secret: &Secret) -> Result<Arc<CertifiedKey>, InvalidSecret> {
    match &secret.value {
        SecretValue::Certificate { chain, key } => certificate(&secret.name, chain, key),
        SecretValue::Validation { .. } => Err(InvalidSecret::NoCertificate(secret.name.clone())),
    }
}

fn certificate(
    name: &SecretName,
    chain: &[u8],
    key: &PrivateKey,
) -> Result<Arc<CertifiedKey>, InvalidSecret> {
    let chain = certificates(name, chain)?;
    let key = PrivateKeyDer::from_pem_slice(&key.0);
    let key = key.map_err(|e| InvalidSecret::Pem(name.clone(), e))?;
    let unusable = |e| InvalidSecret::Key(name.clone(), e);
    let provider = super::provider().key_provider;
    let key = provider.load_private_key(key).map_err(unusable)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(unusable)?;
    Ok(Arc::new(certified))
}

fn certificates(
    name: &SecretName,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, InvalidSecret> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| InvalidSecret::Pem(name.clone(), e))?;
    if all.is_empty() {
        return Err(InvalidSecret::NoCertificate(name.clone()));
    }
    Ok(all)
}
