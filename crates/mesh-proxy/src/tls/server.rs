//! TLS towards clients.

use super::{
    Error, Rewind, Secrets, provider,
    secret::{Material, SecretSlot},
    verify::ClientVerifier,
    versions,
};
use crate::{connection::DownstreamPeer, slot::SlotVersion};
use arc_swap::ArcSwapOption;
use mesh_model::tls::{CommonTls, DownstreamTls, PeerValidation};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    server::{Acceptor, ClientHello, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

/// Tickets sent after a full TLS 1.3 handshake: a peer that opens many connections at once has one for each.
const TICKETS: usize = 4;

/// A compiled [`DownstreamTls`].
#[derive(Debug)]
pub struct DownstreamContext {
    model: DownstreamTls,
    certificate: Option<Arc<SecretSlot>>,
    roots: Option<Arc<SecretSlot>>,
    built: ArcSwapOption<Built>,
}

/// A rustls configuration with the secrets that it was made of.
#[derive(Debug)]
struct Built {
    secrets: [SlotVersion; 2],
    config: Arc<ServerConfig>,
    without_alpn: Arc<ServerConfig>,
    local_uri_san: Option<Arc<str>>,
}

impl Built {
    /// A client that offers nothing we speak is served all the same, without an agreed protocol, as Envoy does; rustls
    /// by itself would refuse it. Peers of the mesh offer names such as `istio` only to steer their connection.
    fn config_for(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let spoken = &self.config.alpn_protocols;
        let agrees = match hello.alpn() {
            Some(mut offered) => offered.any(|protocol| spoken.iter().any(|s| s == protocol)),
            None => true,
        };
        Arc::clone(if agrees {
            &self.config
        } else {
            &self.without_alpn
        })
    }
}

impl DownstreamContext {
    /// The context, with the slots of the secrets that it names.
    pub fn new(model: DownstreamTls, secrets: &Secrets) -> Self {
        let CommonTls {
            certificate,
            validation,
            ..
        } = &model.common;
        let certificate = certificate.as_ref().map(|name| secrets.slot(name));
        let roots = validation.as_ref().map(|v| secrets.slot(&v.trusted_ca));
        Self {
            model,
            certificate,
            roots,
            built: ArcSwapOption::empty(),
        }
    }

    /// Whether all secrets that it names have arrived.
    pub fn is_warm(&self) -> bool {
        self.certificate
            .iter()
            .chain(&self.roots)
            .all(|slot| slot.is_filled())
    }

    /// Terminates TLS on `io`.
    ///
    /// # Errors
    /// If a secret is missing, the handshake fails, or it takes longer than `limit`.
    pub async fn accept(
        &self,
        io: Rewind<TcpStream>,
        limit: Duration,
    ) -> Result<(TlsStream<Rewind<TcpStream>>, DownstreamPeer), Error> {
        let built = self.built()?;
        let handshake = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
            let config = built.config_for(&start.client_hello());
            start.into_stream(config).await
        };
        let stream = timeout(limit, handshake)
            .await
            .map_err(|_| Error::Timeout)?
            .map_err(Error::handshake)?;
        let session = stream.get_ref().1;
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        let peer = DownstreamPeer {
            uri_san: leaf.and_then(|der| super::san::first_uri(der)),
            local_uri_san: built.local_uri_san.clone(),
            certificate: leaf.map(|der| Arc::from(der.as_ref())),
            alpn: session
                .alpn_protocol()
                .and_then(|p| std::str::from_utf8(p).ok())
                .map(Arc::from),
        };
        Ok((stream, peer))
    }

    fn built(&self) -> Result<Arc<Built>, Error> {
        let secrets = [&self.certificate, &self.roots].map(|slot| {
            slot.as_ref()
                .map_or_else(SlotVersion::default, |s| s.version())
        });
        if let Some(built) = self.built.load_full()
            && built.secrets == secrets
        {
            return Ok(built);
        }
        let (key, local_uri_san) = certificate(self.certificate.as_deref())?.ok_or_else(|| {
            Error::Context(rustls::Error::General(
                "a server context needs a certificate".into(),
            ))
        })?;
        let config = self.config(key).map_err(Error::Context)??;
        let mut without_alpn = config.clone();
        without_alpn.alpn_protocols.clear();
        let built = Arc::new(Built {
            secrets,
            config: Arc::new(config),
            without_alpn: Arc::new(without_alpn),
            local_uri_san,
        });
        self.built.store(Some(Arc::clone(&built)));
        Ok(built)
    }

    fn config(&self, key: Arc<CertifiedKey>) -> Result<Result<ServerConfig, Error>, rustls::Error> {
        let common = &self.model.common;
        let provider = suites(&common.cipher_suites);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(common.min_version, common.max_version))?;
        let verifier = match (&common.validation, roots(self.roots.as_deref())) {
            (_, Err(error)) => return Ok(Err(error)),
            (Some(validation), Ok(Some(roots))) => {
                Some(self.verifier(validation, roots, provider.clone())?)
            }
            _ => None,
        };
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = common.alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        config.send_tls13_tickets = TICKETS;
        Ok(Ok(config))
    }

    fn verifier(
        &self,
        validation: &PeerValidation,
        roots: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
        let mut chain = WebPkiClientVerifier::builder_with_provider(roots, provider);
        if !self.model.require_client_certificate {
            chain = chain.allow_unauthenticated();
        }
        let chain = chain
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        Ok(Arc::new(ClientVerifier {
            chain,
            names: validation.subject_alt_names.clone(),
        }))
    }
}

/// A certificate with its key, and who it says we are.
type Identity = (Arc<CertifiedKey>, Option<Arc<str>>);

/// The certificate in `slot`; `None` if no secret is named.
pub(super) fn certificate(slot: Option<&SecretSlot>) -> Result<Option<Identity>, Error> {
    let Some(slot) = slot else { return Ok(None) };
    match slot.load().as_deref() {
        Some(Material::Certificate { key, uri_san }) => {
            Ok(Some((Arc::clone(key), uri_san.clone())))
        }
        Some(Material::Roots(_)) => Err(Error::SecretKind(slot.name().clone(), "a certificate")),
        None => Err(Error::SecretMissing(slot.name().clone())),
    }
}

/// The roots in `slot`; `None` if no secret is named.
pub(super) fn roots(slot: Option<&SecretSlot>) -> Result<Option<Arc<RootCertStore>>, Error> {
    let Some(slot) = slot else { return Ok(None) };
    match slot.load().as_deref() {
        Some(Material::Roots(roots)) => Ok(Some(Arc::clone(roots))),
        Some(Material::Certificate { .. }) => Err(Error::SecretKind(slot.name().clone(), "roots")),
        None => Err(Error::SecretMissing(slot.name().clone())),
    }
}

/// The provider, limited to the TLS 1.2 suites of `names` (OpenSSL's names). TLS 1.3 suites stay, as in Envoy.
/// Suites without forward secrecy are not implemented by rustls, and so never offered.
fn suites(names: &[String]) -> Arc<CryptoProvider> {
    let whole = provider();
    if names.is_empty() {
        return whole;
    }
    let mut limited = CryptoProvider::clone(&whole);
    limited.cipher_suites.retain(|suite| {
        suite.tls13().is_some()
            || names
                .iter()
                .any(|name| openssl_name(suite.suite()) == Some(name.as_str()))
    });
    Arc::new(limited)
}

fn openssl_name(suite: rustls::CipherSuite) -> Option<&'static str> {
    use rustls::CipherSuite::*;
    Some(match suite {
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
