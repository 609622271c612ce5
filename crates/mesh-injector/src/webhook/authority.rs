//! A certificate from the mesh's authority: a fresh key, a signing request, and our service account's token, to
//! `IstioCertificateService` of the control plane.
//!
//! The authority gives the control plane's own service accounts the DNS names of their Services, so nothing is asked for
//! in the request but a key. Token and roots are read anew each time: both change while we run.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mesh_runtime::control_plane::{self, ControlPlane, Roots};
use mesh_xds::pb::istio::auth::{
    IstioCertificateRequest, istio_certificate_service_client::IstioCertificateServiceClient,
};
use rcgen::{CertificateParams, KeyPair};
use tokio::time::timeout;

use super::certificate::{Pem, provider};

/// Longest time for one attempt, from the first packet to the certificate.
const ATTEMPT: Duration = Duration::from_secs(15);
/// Wanted lifetime.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The authority.
#[derive(Debug, Clone)]
pub struct Authority {
    /// `host:port`.
    pub address: String,
    /// File of our token, of audience `istio-ca`.
    pub token: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be asked, or refused: with all causes and a hint.
    #[error("{}", .0.explain())]
    ControlPlane(control_plane::Error),
    /// No key or request could be made.
    #[error("cannot make a signing request")]
    Request(#[from] rcgen::Error),
    /// It took too long.
    #[error("{0} did not answer in {ATTEMPT:?}")]
    Late(String),
}

impl From<control_plane::Error> for Error {
    fn from(error: control_plane::Error) -> Self {
        Self::ControlPlane(error)
    }
}

impl Authority {
    /// Asks for a certificate, trusting `roots` (PEM).
    ///
    /// # Errors
    /// If there is none to be had at the moment.
    pub async fn issue(&self, roots: Arc<str>) -> Result<Pem, Error> {
        let attempt = timeout(ATTEMPT, self.attempt(roots)).await;
        attempt.map_err(|_| Error::Late(self.address.clone()))?
    }

    async fn attempt(&self, roots: Arc<str>) -> Result<Pem, Error> {
        let roots = Roots::Pem(roots);
        let plane = ControlPlane::new(self.address.as_str(), roots, &self.token, provider());
        let key = KeyPair::generate()?;
        let csr = CertificateParams::default()
            .serialize_request(&key)?
            .pem()?;
        let request = plane.request(IstioCertificateRequest {
            csr,
            validity_duration: LIFETIME.as_secs().try_into().unwrap_or(i64::MAX),
            ..IstioCertificateRequest::default()
        });
        let request = request.await?;
        let mut client = IstioCertificateServiceClient::new(plane.connect().await?);
        let reply = client.create_certificate(request).await;
        let reply = reply.map_err(|status| plane.refused(status))?;
        Ok(Pem {
            chain: reply.into_inner().cert_chain.join("\n"),
            key: key.serialize_pem(),
        })
    }
}
