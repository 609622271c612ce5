//! A certificate from the mesh's authority: a fresh key, a signing request, and our service account's token, to
//! `IstioCertificateService` of the control plane.
//!
//! The authority gives the control plane's own service accounts the DNS names of their Services, so nothing is asked for
//! in the request but a key. Token and roots are read anew each time: both change while we run.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use mesh_xds::pb::istio::auth::{
    IstioCertificateRequest, istio_certificate_service_client::IstioCertificateServiceClient,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

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
    /// The token cannot be read.
    #[error(
        "token of the service account: {0} (hint: a projected token of audience istio-ca has to be mounted there)"
    )]
    Token(PathBuf, #[source] io::Error),
    /// What is in it is no token.
    #[error("token of the service account: {0} does not hold one")]
    TokenText(PathBuf),
    /// The roots are no certificates.
    #[error("the roots of the mesh are no certificates in PEM")]
    Roots,
    /// No key or request could be made.
    #[error("cannot make a signing request")]
    Request(#[from] rcgen::Error),
    /// Its name is none that a certificate could bear.
    #[error("`{0}` is not host:port")]
    Address(String),
    /// It cannot be reached.
    #[error("connecting to {0} (hint: is istiod running?)")]
    Connect(String, #[source] io::Error),
    /// TLS cannot be set up.
    #[error("TLS with {0}")]
    Tls(String, #[source] rustls::Error),
    /// HTTP/2 failed.
    #[error("HTTP/2 with {0}")]
    Http2(String, #[source] tonic::transport::Error),
    /// It refused.
    #[error("{0} answered {code:?}: {message}", code = .1.code(), message = .1.message())]
    Status(String, Box<Status>),
    /// It took too long.
    #[error("{0} did not answer in {ATTEMPT:?}")]
    Late(String),
}

impl Authority {
    /// Asks for a certificate, trusting `roots` (PEM).
    ///
    /// # Errors
    /// If there is none to be had at the moment.
    pub async fn issue(&self, roots: &str) -> Result<Pem, Error> {
        let attempt = timeout(ATTEMPT, self.attempt(roots)).await;
        attempt.map_err(|_| Error::Late(self.address.clone()))?
    }

    async fn attempt(&self, roots: &str) -> Result<Pem, Error> {
        let key = KeyPair::generate()?;
        let csr = CertificateParams::default()
            .serialize_request(&key)?
            .pem()?;
        let mut request = Request::new(IstioCertificateRequest {
            csr,
            validity_duration: LIFETIME.as_secs().try_into().unwrap_or(i64::MAX),
            ..IstioCertificateRequest::default()
        });
        let bearer = self.bearer().await?;
        request.metadata_mut().insert("authorization", bearer);
        let mut client = IstioCertificateServiceClient::new(self.connect(roots).await?);
        let reply = client
            .create_certificate(request)
            .await
            .map_err(|status| Error::Status(self.address.clone(), Box::new(status)))?;
        Ok(Pem {
            chain: reply.into_inner().cert_chain.join("\n"),
            key: key.serialize_pem(),
        })
    }

    async fn bearer(&self) -> Result<MetadataValue<tonic::metadata::Ascii>, Error> {
        let token = tokio::fs::read_to_string(&self.token).await;
        let token = token.map_err(|error| Error::Token(self.token.clone(), error))?;
        let value = MetadataValue::try_from(format!("Bearer {}", token.trim()));
        let mut value = value
            .ok()
            .filter(|_| !token.trim().is_empty())
            .ok_or_else(|| Error::TokenText(self.token.clone()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn connect(&self, roots: &str) -> Result<Channel, Error> {
        let stream = self.dial(roots).await?;
        let mut once = Some(TokioIo::new(stream));
        let connector = tower::service_fn(move |_| {
            let stream = once.take();
            async move { stream.ok_or_else(|| io::Error::other("the connection is lost")) }
        });
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address))
            .map_err(|_| Error::Address(self.address.clone()))?;
        let channel = endpoint.connect_with_connector(connector).await;
        channel.map_err(|error| Error::Http2(self.address.clone(), error))
    }

    async fn dial(&self, roots: &str) -> Result<TlsStream<TcpStream>, Error> {
        let address = || Error::Address(self.address.clone());
        let (host, _) = self.address.rsplit_once(':').ok_or_else(address)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| address())?;
        let connect = |error| Error::Connect(self.address.clone(), error);
        let tcp = TcpStream::connect(&self.address).await.map_err(connect)?;
        let tls = TlsConnector::from(self.tls(roots)?);
        tls.connect(name, tcp).await.map_err(connect)
    }

    fn tls(&self, pem: &str) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let root = root.map_err(|_| Error::Roots)?;
            roots.add(root).map_err(|_| Error::Roots)?;
        }
        if roots.is_empty() {
            return Err(Error::Roots);
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls(self.address.clone(), error))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}
