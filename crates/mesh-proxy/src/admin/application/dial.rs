//! The way to the application: to the pod's address, from the one that the capture rules let pass.

use super::{Application, Failed};
use crate::tls;
use mesh_model::port::{INBOUND_SOURCE_V4, INBOUND_SOURCE_V6};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

impl Application {
    /// A connection to a port of the application.
    pub(super) async fn dial(&self, port: u16) -> Result<TcpStream, Failed> {
        let to = SocketAddr::new(self.address, port);
        connect(to).await.map_err(|error| Failed::Dial(port, error))
    }

    /// As [`Application::dial`], with TLS on top.
    pub(super) async fn dial_tls(&self, port: u16) -> Result<TlsStream<TcpStream>, Failed> {
        let stream = self.dial(port).await?;
        let failed = |error| Failed::Dial(port, error);
        let config = unverified().map_err(|error| failed(io::Error::other(error)))?;
        let name = ServerName::IpAddress(self.address.into());
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
        connected.await.map_err(failed)
    }
}

async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let (socket, source): (_, IpAddr) = match to {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, INBOUND_SOURCE_V4.into()),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, INBOUND_SOURCE_V6.into()),
    };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(to).await
}

fn unverified() -> Result<ClientConfig, Error> {
    let provider = tls::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let config = builder.with_safe_default_protocol_versions()?;
    let config = config.dangerous();
    Ok(config
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth())
}

/// Trusts any certificate, as the kubelet does with HTTPS probes: what is asked is whether something answers, inside of
/// the pod, where who can pretend to be the application is the application.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
