//! The way to the control plane: TLS under the mesh's roots, its DNS name checked, and the service account's token with
//! each call.
//!
//! Whoever has a certificate to buy, or a configuration to read, goes this way; what is called at its end is the
//! caller's. Files are read anew each time: the kubelet replaces them while we run. What fails is told so that whoever
//! reads one line of log, or the body of a failed readiness probe, knows what to look at.

use crate::cert_time;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{error::Error as _, io, path::PathBuf, sync::Arc, time::Duration};
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
    roots: Roots,
    token: PathBuf,
    cluster: Option<String>,
    provider: Arc<CryptoProvider>,
    keep_alive: Duration,
    keep_alive_patience: Duration,
}

/// The roots that the control plane's certificate is verified by.
#[derive(Clone, Debug)]
pub enum Roots {
    /// In this file, PEM, as it is when a connection is made.
    File(PathBuf),
    /// These, PEM.
    Pem(Arc<str>),
}

/// Why the control plane could not be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the roots can't be read.
    #[error("roots of the control plane: {0}")]
    Roots(PathBuf, #[source] io::Error),
    /// What is in it are no certificates.
    #[error("roots of the control plane: {0} holds no certificate in PEM")]
    RootsPem(String),
    /// The token can't be read.
    #[error("token of the service account: {0}")]
    Token(PathBuf, #[source] io::Error),
    /// What is in it is no token.
    #[error("token of the service account: {0} does not hold one")]
    TokenText(PathBuf),
    /// Its address lacks a part.
    #[error("`{0}` is not host:port")]
    Address(String),
    /// Its name is none that a certificate could bear.
    #[error("`{0}` is no host name")]
    Name(String),
    /// It can't be reached.
    #[error("connecting to {0}")]
    Connect(String, #[source] io::Error),
    /// TLS with it failed.
    #[error("TLS with {0}")]
    Tls(String, #[source] io::Error),
    /// TLS with it failed because of the time.
    #[error("TLS with {0}: {reason}", reason = cert_time::REASON)]
    Time(String, #[source] io::Error),
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
        let mut cause = self.source();
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
            Self::Time(..) => Some(cert_time::HINT),
            Self::Status(_, status) if status.code() == Code::Unauthenticated => {
                Some("the token has to be one of this cluster, of audience istio-ca, not expired")
            }
            _ => None,
        }
    }

    /// Whether the server is there, but can't say yes or no at the moment.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Status(_, status) if status.code() == Code::Unavailable)
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
    /// The one at `address`, `host:port`, which trusts the token in a file; TLS is done by `provider`.
    pub fn new(
        address: impl Into<String>,
        roots: Roots,
        token: impl Into<PathBuf>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            address: address.into(),
            roots,
            token: token.into(),
            cluster: None,
            provider,
            keep_alive: KEEP_ALIVE,
            keep_alive_patience: KEEP_ALIVE_PATIENCE,
        }
    }

    /// As it is; each call names the cluster that we are in (`clusterid`).
    #[must_use]
    pub fn of_cluster(self, cluster: &str) -> Self {
        Self {
            cluster: Some(cluster.to_owned()),
            ..self
        }
    }

    /// As it is, but a silent server is asked after `interval` whether it is there, and left after `patience`.
    #[must_use]
    pub fn with_keep_alive(self, interval: Duration, patience: Duration) -> Self {
        Self {
            keep_alive: interval,
            keep_alive_patience: patience,
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
        self.connect_as(None).await
    }

    /// As [`ControlPlane::connect`], showing a certificate of ours if there is one: for a server that can't check tokens
    /// at the moment. One that it does not like costs the connection.
    ///
    /// # Errors
    /// As [`ControlPlane::connect`].
    pub async fn connect_as(&self, own: Option<Arc<CertifiedKey>>) -> Result<Channel, Error> {
        let tls = self.tls(own).await?;
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
        if let Some(Ok(cluster)) = self.cluster.as_ref().map(|cluster| cluster.parse()) {
            metadata.insert("clusterid", cluster);
        }
        Ok(request)
    }

    /// A failed call as our error.
    pub fn refused(&self, status: Status) -> Error {
        Error::Status(self.address.clone(), Box::new(status))
    }

    /// The roots as they stand.
    ///
    /// # Errors
    /// If their file can't be read.
    pub async fn roots_pem(&self) -> Result<Arc<str>, Error> {
        match &self.roots {
            Roots::Pem(pem) => Ok(Arc::clone(pem)),
            Roots::File(file) => match tokio::fs::read_to_string(file).await {
                Ok(pem) => Ok(pem.into()),
                Err(error) => Err(Error::Roots(file.clone(), error)),
            },
        }
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

    async fn tls(&self, own: Option<Arc<CertifiedKey>>) -> Result<Arc<ClientConfig>, Error> {
        let pem = self.roots_pem().await?;
        let roots = store(&pem).ok_or_else(|| Error::RootsPem(self.roots.to_string()))?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Tls(self.address.clone(), io::Error::other(e)))?;
        let builder = builder.with_root_certificates(roots);
        let mut config = match own {
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    async fn dial(&self, tls: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Error> {
        let split = self.address.rsplit_once(':');
        let (host, _) = split.ok_or_else(|| Error::Address(self.address.clone()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| Error::Name(host.to_owned()))?;
        let tcp = TcpStream::connect(&self.address).await;
        let tcp = tcp.map_err(|e| Error::Connect(self.address.clone(), e))?;
        // Small messages that wait for each other.
        let _ = tcp.set_nodelay(true);
        let stream = TlsConnector::from(tls).connect(name, tcp).await;
        stream.map_err(|e| match cert_time::is_reason_of(&e) {
            true => Error::Time(self.address.clone(), e),
            false => Error::Tls(self.address.clone(), e),
        })
    }
}

impl std::fmt::Display for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Pem(_) => f.write_str("what was told as such"),
        }
    }
}

/// The certificates of a PEM text; `None` if one is broken, or there is none.
fn store(pem: &str) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(address: &str, roots: Roots) -> ControlPlane {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ControlPlane::new(address, roots, "/nonexistent/token", provider)
    }

    #[tokio::test]
    async fn what_is_missing_is_named_with_what_to_do() {
        let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----";
        let pem = |text: &str| Roots::Pem(text.into());
        let cases = [
            (
                Roots::File("/nonexistent/roots".into()),
                "/nonexistent/roots: No such file",
            ),
            (pem(""), "holds no certificate in PEM (hint: the ConfigMap"),
            (
                pem(broken),
                "holds no certificate in PEM (hint: the ConfigMap",
            ),
        ];
        for (roots, want) in cases {
            let error = plane("localhost:1", roots).connect().await;
            let text = error.expect_err("no roots").explain();
            assert!(text.contains(want), "{text}");
        }
        let error = plane("localhost:1", pem("")).request(()).await;
        let text = error.expect_err("no token").explain();
        assert!(
            text.contains("/nonexistent/token") && text.contains("audience istio-ca"),
            "{text}"
        );
    }

    #[test]
    fn a_refusal_is_told_from_an_absence() {
        let plane = plane("localhost:1", Roots::Pem("".into()));
        for (code, is_refusal) in [
            (Code::Unauthenticated, true),
            (Code::ResourceExhausted, true),
            (Code::Unavailable, false),
            (Code::DeadlineExceeded, false),
        ] {
            let error = plane.refused(Status::new(code, "no"));
            assert_eq!(error.is_refusal(), is_refusal, "{code:?}");
        }
    }
}
