//! Token and key → certificate: one call of Istio's certificate service.

use super::{
    Clock,
    control_plane::{self, ControlPlane},
};
use mesh_model::{
    SpiffeId,
    secret::{PrivateKey, Secret, SecretValue},
};
use mesh_runtime::cert_time;
use mesh_xds::pb::istio::auth::{
    IstioCertificateRequest, istio_certificate_service_client::IstioCertificateServiceClient,
};
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::sign::CertifiedKey;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;
use x509_parser::pem::Pem;

/// How long the certificate is asked to be valid.
const VALIDITY: Duration = Duration::from_secs(24 * 3600);
/// How long the call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authority could not be asked, or refused.
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    /// It did not answer in time.
    #[error("{0} did not sign in {PATIENCE:?}")]
    Timeout(String),
    /// No key, or no request, could be made.
    #[error("certificate signing request")]
    Request(#[from] rcgen::Error),
    /// What it answered is no certificate chain.
    #[error("{0} answered with no certificate chain: {1}")]
    Answer(String, &'static str),
    /// What it answered is of no use at this time.
    #[error(
        "{reason}: {0} answered with a certificate that ended before it came",
        reason = cert_time::REASON
    )]
    Expired(String),
}

impl Error {
    /// The error with its causes and, where we know one, a hint, in one line.
    pub fn explain(&self) -> String {
        match self {
            Self::ControlPlane(error) => error.explain(),
            Self::Request(cause) => format!("{self}: {cause}"),
            Self::Expired(_) => format!("{self} (hint: {})", cert_time::HINT),
            _ => self.to_string(),
        }
    }

    /// Whether the authority is there, but can't say yes or no at the moment.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::ControlPlane(error) if error.is_unavailable())
    }

    /// Whether the authority is there and said no.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::ControlPlane(error) => error.is_refusal(),
            Self::Timeout(_) => false,
            Self::Request(_) | Self::Answer(..) | Self::Expired(_) => true,
        }
    }
}

/// A certificate with its key, fresh from the authority.
#[derive(Debug)]
pub struct Signed {
    /// Leaf and intermediates, PEM.
    pub chain: String,
    /// The key, PEM.
    pub key: PrivateKey,
    /// The root, PEM; empty if none came.
    pub root: String,
    /// When the leaf ends.
    pub not_after: SystemTime,
    /// Who the leaf says we are.
    pub uri_san: Option<String>,
}

impl Signed {
    /// As the secret `default`.
    pub fn secret(&self) -> Secret {
        Secret {
            name: mesh_model::name::DEFAULT_SECRET.into(),
            value: SecretValue::Certificate {
                chain: self.chain.clone().into_bytes(),
                key: self.key.clone(),
            },
        }
    }
}

/// Has a certificate signed for `identity`, with a key made for it; `own` is shown beside the token. The certificate has to
/// be good at the time that `clock` tells when it has come.
///
/// # Errors
/// If the authority can't be asked, or refuses, or answers nonsense.
pub async fn sign(
    authority: &ControlPlane,
    identity: &SpiffeId,
    own: Option<Arc<CertifiedKey>>,
    clock: &Clock,
) -> Result<Signed, Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into()?)];
    let csr = params.serialize_request(&key)?.pem()?;
    let patience = timeout(PATIENCE, call(authority, own, csr));
    let chain = patience
        .await
        .map_err(|_| Error::Timeout(authority.address().to_owned()))??;
    read(authority.address(), chain, &key, clock.now())
}

async fn call(
    authority: &ControlPlane,
    own: Option<Arc<CertifiedKey>>,
    csr: String,
) -> Result<Vec<String>, Error> {
    let mut client = IstioCertificateServiceClient::new(authority.connect_as(own).await?);
    let message = IstioCertificateRequest {
        csr,
        validity_duration: VALIDITY.as_secs() as i64,
        metadata: None,
    };
    let request = authority.request(message).await?;
    let response = client.create_certificate(request).await;
    let response = response.map_err(|status| authority.refused(status))?;
    Ok(response.into_inner().cert_chain)
}

/// The answer: leaf, intermediates, root. A single element may hold several certificates.
fn read(
    authority: &str,
    answer: Vec<String>,
    key: &KeyPair,
    now: SystemTime,
) -> Result<Signed, Error> {
    let nonsense = |what| Error::Answer(authority.to_owned(), what);
    let (leaf, rest) = answer
        .split_first()
        .ok_or_else(|| nonsense("it is empty"))?;
    let pem = Pem::iter_from_buffer(leaf.as_bytes())
        .next()
        .and_then(Result::ok)
        .ok_or_else(|| nonsense("the first element is not PEM"))?;
    let certificate = pem
        .parse_x509()
        .map_err(|_| nonsense("the first element is no certificate"))?;
    let not_after = u64::try_from(certificate.validity().not_after.timestamp())
        .map_err(|_| nonsense("it ends before 1970"))?;
    let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(not_after);
    if not_after <= now {
        return Err(Error::Expired(authority.to_owned()));
    }
    let uri_san = crate::tls::san::first_uri(&pem.contents);
    let (intermediates, root) = match rest.split_last() {
        Some((root, intermediates)) => (intermediates, root.clone()),
        None => (rest, String::new()),
    };
    let chain = std::iter::once(leaf).chain(intermediates);
    Ok(Signed {
        chain: chain.map(|pem| format!("{}\n", pem.trim_end())).collect(),
        key: PrivateKey(key.serialize_pem().into_bytes()),
        root,
        not_after,
        uri_san: uri_san.map(|uri| uri.to_string()),
    })
}
