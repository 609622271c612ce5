//! The way to the control plane, for certificates and for configuration: TLS under the mesh's roots, its DNS name
//! checked, and the service account's token with each call.
//!
//! The files are read anew each time: the kubelet replaces both while we run. What fails is told so that whoever reads
//! one line of log, or the body of a failed readiness probe, knows what to look at.

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

/// How long a connection with its TLS may take to be established.
const CONNECT: Duration = Duration::from_secs(10);
/// Silence after which the other end has to show that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long it may take for that.
const KEEP_ALIVE_PATIENCE: Duration = Duration::from_secs(10);

/// Where a control plane is, and what we need to speak with it.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// `host:port`.
    address: String,
    roots: PathBuf,
    token: PathBuf,
    cluster: String,
    keep_alive: Duration,
    keep_alive_patience: Duration,
}

/// Why the control plane could not be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the roots can't be read.
    #[error("roots of the control plane: {0}")]
    Roots(PathBuf, #[source] io::Error),
    /// What is in it are no certificates.
    #[error("roots of the control plane: {0} holds no certificate in PEM")]
    RootsPem(PathBuf),
    /// The token can't be read.
    #[error("token of the service account: {0}")]
    Token(PathBuf, #[source] io::Error),
    /// What is in it is no token.
    #[error("token of the service account: {0} does not hold one")]
    TokenText(PathBuf),
    /// Its name is none that a certificate could bear.
    #[error("`{0}` is no host name")]
    Name(String),
    /// It can't be reached.
    #[error("connecting to {0}")]
    Connect(String, #[source] io::Error),
    /// TLS with it failed.
    #[error("TLS with {0}")]
    Tls(String, #[source] io::Error),
    /// It did not answer in time.
    #[error("{0} did not answer in {CONNECT:?}")]
    Timeout(String),
    /// HTTP/2 with it failed.
    #[error("HTTP/2 with {0}")]
    Http2(String, #[source] tonic::transport::Error),
    /// A call failed, or was refused.
    #[error("{0} answered {code:?}: {message}", code = .1.code(), message = .1.message())]
    Status(String, Box<Status>),
}

impl Error {
    /// The error with its causes and, where we know one, a hint, in one line.
    pub fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let error_text = error.to_string();
            if !text.ends_with(&error_text) {
                text = format!("{text}: {error_text}");
            }
            cause = error.source();
        }
        match self.hint() {
            Some(hint) => format!("{text} (hint: {hint})"),
            None => text,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Roots(..) | Self::RootsPem(_) => {
                Some("the ConfigMap istio-ca-root-cert has to be mounted there")
            }
            Self::Token(..) | Self::TokenText(_) => {
                Some("a projected token of audience istio-ca has to be mounted there")
            }
            Self::Connect(_, error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Some("is istiod running?")
            }
            Self::Connect(..) | Self::Timeout(_) => {
                Some("is istiod running, and does a NetworkPolicy let us reach it?")
            }
            Self::Tls(..) => Some("its certificate has to be valid for that name under our roots"),
            Self::Status(_, status) if status.code() == Code::Unauthenticated => {
                Some("the token has to be one of this cluster, of audience istio-ca, not expired")
            }
            _ => None,
        }
    }

    /// Whether the server is there and said no.
    pub fn is_refusal(&self) -> bool {
        let Self::Status(_, status) = self else {
            return false;
        };
        matches!(
            status.code(),
            Code::Unauthenticated
                | Code::PermissionDenied
                | Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::ResourceExhausted
                | Code::Unimplemented
        )
    }
}

impl ControlPlane {
    /// The one at `address`, `host:port`, with the files and the cluster that `settings` name.
    pub fn new(address: &str, settings: &crate::config::Settings) -> Self {
        Self {
            address: address.to_owned(),
            roots: settings.paths.ca_root.clone(),
            token: settings.paths.token.clone(),
            cluster: settings.node.text("CLUSTER_ID").to_owned(),
            keep_alive: KEEP_ALIVE,
            keep_alive_patience: KEEP_ALIVE_PATIENCE,
        }
    }

    /// As it is, but quick to leave a server that hangs.
    #[cfg(test)]
    pub(crate) fn impatient(self) -> Self {
        Self {
            keep_alive: Duration::from_millis(200),
            keep_alive_patience: Duration::from_millis(200),
            ..self
        }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// An established connection to it. It is not made anew when it breaks.
    ///
    /// # Errors
    /// If a file is missing, or it can't be reached, or it does not prove its name.
    pub async fn connect(&self) -> Result<Channel, Error> {
        let tls = self.tls().await?;
        let dial = timeout(CONNECT, self.dial(tls));
        let stream = dial
            .await
            .map_err(|_| Error::Timeout(self.address.clone()))??;
        let mut once = Some(TokioIo::new(stream));
        let connector = tower::service_fn(move |_| {
            let stream = once.take();
            async move { stream.ok_or_else(|| io::Error::other("the connection is lost")) }
        });
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address))
            .map_err(|_| Error::Name(self.address.clone()))?
            .http2_keep_alive_interval(self.keep_alive)
            .keep_alive_timeout(self.keep_alive_patience)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_with_connector(connector);
        let channel = channel.await;
        channel.map_err(|e| Error::Http2(self.address.clone(), e))
    }

    /// A request with our token.
    ///
    /// # Errors
    /// If there is no token.
    pub async fn request<T>(&self, message: T) -> Result<Request<T>, Error> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer().await?);
        if let Ok(cluster) = self.cluster.parse() {
            metadata.insert("clusterid", cluster);
        }
        Ok(request)
    }

    /// A failed call as our error.
    pub fn refused(&self, status: Status) -> Error {
        Error::Status(self.address.clone(), Box::new(status))
    }

    /// The roots as they stand in the file.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn roots_pem(&self) -> Result<String, Error> {
        let read = tokio::fs::read_to_string(&self.roots).await;
        read.map_err(|e| Error::Roots(self.roots.clone(), e))
    }

    async fn bearer(&self) -> Result<MetadataValue<Ascii>, Error> {
        let token = tokio::fs::read_to_string(&self.token).await;
        let token = token.map_err(|e| Error::Token(self.token.clone(), e))?;
        let token = token.trim();
        let value = MetadataValue::try_from(format!("Bearer {token}")).ok();
        let mut value = value
            .filter(|_| !token.is_empty())
            .ok_or_else(|| Error::TokenText(self.token.clone()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, Error> {
        let pem = self.roots_pem().await?;
        let invalid = || Error::RootsPem(self.roots.clone());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| invalid())?;
            roots.add(certificate).map_err(|_| invalid())?;
        }
        if roots.is_empty() {
            return Err(invalid());
        }
        let builder = ClientConfig::builder_with_provider(crate::tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Tls(self.address.clone(), io::Error::other(e)))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    async fn dial(&self, tls: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Error> {
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| Error::Name(host.to_owned()))?;
        let tcp = TcpStream::connect(&self.address).await;
        let tcp = tcp.map_err(|e| Error::Connect(self.address.clone(), e))?;
        // Small messages that wait for each other.
        let _ = tcp.set_nodelay(true);
        let stream = TlsConnector::from(tls).connect(name, tcp).await;
        stream.map_err(|e| Error::Tls(self.address.clone(), e))
    }
}
