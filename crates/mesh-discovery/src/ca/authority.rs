//! Signing material (certificate, key, roots), and signing with it.
//!
//! Pure but for the random serial: gets the time as an argument and touches no file. Certificates follow Istio's: an
//! empty subject, so that the SAN is critical; usable by both sides of a connection.

use super::{bundle::Bundle, request::SigningRequest};
use mesh_model::SpiffeId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How far a certificate's start lies in the past, so that a peer whose clock is behind accepts it at once.
const CLOCK_SKEW: Duration = Duration::from_secs(2 * 60);
/// Lifetime of a self-signed root.
const ROOT_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);

/// What the authority signs with, and what its certificates are trusted by.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Bundle,
    intermediates: Bundle,
    roots: Bundle,
    not_after: SystemTime,
    trust_domain: String,
}

/// From when to when a certificate is to be valid.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// From then on, if that is earlier than now.
    pub begin: Option<SystemTime>,
    /// For so long from now on.
    pub lifetime: Duration,
}

/// A signed certificate.
pub struct Leaf {
    /// DER.
    pub der: CertificateDer<'static>,
    /// PEM.
    pub pem: String,
    /// End of its validity.
    pub not_after: SystemTime,
}

/// Why signing failed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The authority's own certificate has run out.
    #[error("the authority's certificate has expired")]
    Expired,
    /// A name that X.509 cannot hold.
    #[error("the name `{0}` cannot stand in a certificate")]
    Name(String),
    /// No random numbers.
    #[error("no random serial number")]
    Random,
    /// The signature itself.
    #[error("signing failed")]
    Sign(#[source] rcgen::Error),
}

/// Why files do not make an authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key does not parse.
    #[error("the private key is not usable")]
    Key(#[source] rcgen::Error),
    /// The certificate does not parse.
    #[error("the certificate does not parse")]
    Certificate(#[source] rcgen::Error),
    /// The certificate belongs to another key.
    #[error("the certificate was not made for this private key")]
    KeyMismatch,
    /// Not a CA certificate.
    #[error("the certificate may not sign others (no CA:TRUE)")]
    NotCa,
    /// A certificate signed with it would not be trusted.
    #[error("certificates signed with this key would not be trusted by the roots")]
    Untrusted(#[source] rustls::Error),
    /// The test certificate could not be made.
    #[error("signing a test certificate failed")]
    Sign(#[from] SignError),
    /// The roots do not make a trust store.
    #[error("the roots are not usable")]
    Roots(#[source] rustls::Error),
}

impl Authority {
    /// Puts the parts together and proves them by a test certificate.
    ///
    /// # Errors
    /// If the parts do not fit together.
    pub fn new(
        certificate: Bundle,
        key: &str,
        chain: Bundle,
        roots: Bundle,
        trust_domain: &str,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key).map_err(AuthorityError::Key)?;
        let der = certificate
            .ders()
            .next()
            .ok_or(AuthorityError::Certificate(
                rcgen::Error::CouldNotParseCertificate,
            ))?;
        let not_after = check_ca(der, &key)?;
        let issuer = Issuer::from_ca_cert_der(der, key).map_err(AuthorityError::Certificate)?;
        // A chain file may or may not repeat the authority's own certificate and the root.
        let mut intermediates = certificate.clone().without(&roots);
        intermediates.append(chain.without(&roots).without(&certificate));
        let authority = Self {
            issuer,
            certificate,
            intermediates,
            roots,
            not_after,
            trust_domain: trust_domain.into(),
        };
        authority.prove(now)?;
        Ok(authority)
    }

    /// A self-signed P-256 root: its certificate and key in PEM.
    ///
    /// # Errors
    /// If the key cannot be made or the trust domain cannot stand in a certificate.
    pub fn self_signed(
        trust_domain: &str,
        now: SystemTime,
    ) -> Result<(String, String), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, trust_domain);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = (now + ROOT_LIFETIME).into();
        Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
    }

    /// The same, whose certificates' holders trust `others` as well.
    #[must_use]
    pub fn trusting(mut self, others: &Bundle) -> Self {
        let new = others.clone().without(&self.roots);
        self.roots.append(new);
        self
    }

    /// Signs a workload's request. Nothing but the public key is taken from it.
    ///
    /// # Errors
    /// If the authority has expired, or the identity cannot stand in a certificate.
    pub fn sign_workload(
        &self,
        request: &SigningRequest,
        identity: &SpiffeId,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Leaf, SignError> {
        self.sign_serving_workload(request, identity, &[], lifetime.into(), now)
    }

    /// As [`Authority::sign_workload`], for a workload that is also called by DNS names.
    ///
    /// # Errors
    /// If the authority has expired, or a name cannot stand in a certificate.
    pub fn sign_serving_workload(
        &self,
        request: &SigningRequest,
        identity: &SpiffeId,
        names: &[String],
        term: Term,
        now: SystemTime,
    ) -> Result<Leaf, SignError> {
        let uri = identity.to_string();
        let san = uri.clone().try_into().map_err(|_| SignError::Name(uri))?;
        let mut sans = vec![SanType::URI(san)];
        for name in names {
            sans.push(server_name(name)?);
        }
        self.sign(request.public_key(), sans, term, now)
    }

    /// Signs for names of the control plane itself: DNS names or addresses.
    ///
    /// # Errors
    /// If the authority has expired, or a name cannot stand in a certificate.
    pub fn sign_server(
        &self,
        key: &impl PublicKeyData,
        names: &[String],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Leaf, SignError> {
        let sans = names
            .iter()
            .map(|name| server_name(name))
            .collect::<Result<_, _>>()?;
        self.sign(key, sans, lifetime.into(), now)
    }

    /// The chain as clients get it, each element PEM: the leaf, intermediates, and last all roots in one.
    pub fn chain_of(&self, leaf: &Leaf) -> Vec<String> {
        let mut chain = vec![leaf.pem.clone()];
        chain.extend(self.intermediates.pems().map(str::to_owned));
        chain.push(self.roots.to_pem());
        chain
    }

    /// The certificates between a leaf and the roots.
    pub fn intermediates(&self) -> &Bundle {
        &self.intermediates
    }

    /// What certificates of the mesh are trusted by.
    pub fn roots(&self) -> &Bundle {
        &self.roots
    }

    /// The trust domain of the identities.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// End of the signing certificate's validity.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The roots as a rustls trust store.
    ///
    /// # Errors
    /// If a root is not acceptable to rustls.
    pub fn trust_store(&self) -> Result<rustls::RootCertStore, rustls::Error> {
        let mut store = rustls::RootCertStore::empty();
        self.roots
            .ders()
            .try_for_each(|der| store.add(der.clone()))?;
        Ok(store)
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        sans: Vec<SanType>,
        term: Term,
        now: SystemTime,
    ) -> Result<Leaf, SignError> {
        if now >= self.not_after {
            return Err(SignError::Expired);
        }
        let not_before = now - CLOCK_SKEW;
        let not_before = term.begin.map_or(not_before, |begin| begin.min(not_before));
        let not_after = (now + term.lifetime).min(self.not_after);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = sans;
        params.serial_number = Some(random_serial()?);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        params.not_before = not_before.into();
        params.not_after = not_after.into();
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(SignError::Sign)?;
        Ok(Leaf {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            not_after,
        })
    }

    /// Signs a certificate for nobody and verifies it as a peer would.
    fn prove(&self, now: SystemTime) -> Result<(), AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Key)?;
        let leaf = self.sign_server(
            &key,
            &["localhost".to_owned()],
            Duration::from_secs(60),
            now,
        )?;
        let intermediates: Vec<_> = self.intermediates.ders().cloned().collect();
        let store = Arc::new(self.trust_store().map_err(AuthorityError::Roots)?);
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(store, provider())
                .build()
                .map_err(|e| AuthorityError::Roots(rustls::Error::General(e.to_string())))?;
        let seconds = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        verifier
            .verify_client_cert(
                &leaf.der,
                &intermediates,
                UnixTime::since_unix_epoch(seconds),
            )
            .map_err(AuthorityError::Untrusted)?;
        Ok(())
    }
}

impl From<Duration> for Term {
    /// From now on.
    fn from(lifetime: Duration) -> Self {
        Self {
            begin: None,
            lifetime,
        }
    }
}

impl PartialEq for Authority {
    /// Equal when the public parts are: the key belongs to the certificate.
    fn eq(&self, other: &Self) -> bool {
        (&self.certificate, &self.intermediates, &self.roots)
            == (&other.certificate, &other.intermediates, &other.roots)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The cryptography that the whole process uses.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Checks that `der` is the CA certificate of `key`, and gives the end of its validity.
fn check_ca(der: &CertificateDer<'_>, key: &KeyPair) -> Result<SystemTime, AuthorityError> {
    let unreadable = || AuthorityError::Certificate(rcgen::Error::CouldNotParseCertificate);
    let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| unreadable())?;
    if certificate.public_key().subject_public_key.data.as_ref() != key.der_bytes() {
        return Err(AuthorityError::KeyMismatch);
    }
    if !certificate.is_ca() {
        return Err(AuthorityError::NotCa);
    }
    Ok(certificate.validity().not_after.to_datetime().into())
}

fn server_name(name: &str) -> Result<SanType, SignError> {
    match name.parse() {
        Ok(ip) => Ok(SanType::IpAddress(ip)),
        Err(_) => Ok(SanType::DnsName(
            name.try_into().map_err(|_| SignError::Name(name.into()))?,
        )),
    }
}

/// 127 random bits: positive, and never the empty number.
fn random_serial() -> Result<SerialNumber, SignError> {
    let mut bytes = [0; 16];
    provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| SignError::Random)?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests;
