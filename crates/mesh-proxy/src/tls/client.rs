//! TLS towards servers.

use super::{
    Error, Secrets, provider,
    secret::SecretSlot,
    server::{certificate, roots},
    verify::ServerVerifier,
    versions,
};
use crate::slot::SlotVersion;
use arc_swap::ArcSwap;
use mesh_model::tls::{CommonTls, UpstreamTls};
use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, danger::ServerCertVerifier},
    pki_types::ServerName,
    sign::SingleCertAndKey,
};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Server names whose sessions are remembered, in each configuration.
const SESSIONS: usize = 256;

/// A compiled [`UpstreamTls`].
#[derive(Debug)]
pub struct UpstreamContext {
    model: UpstreamTls,
    server_name: Result<ServerName<'static>, String>,
    certificate: Option<Arc<SecretSlot>>,
    roots: Option<Arc<SecretSlot>>,
    // One entry for each ALPN list in use: the context's own and those of `istio.alpn`.
    built: ArcSwap<Vec<Built>>,
}

/// A rustls configuration with what it was made of.
#[derive(Clone, Debug)]
struct Built {
    secrets: [SlotVersion; 2],
    alpn: Vec<String>,
    config: Arc<ClientConfig>,
}

/// An established connection.
#[derive(Debug)]
pub struct Connected {
    /// The bytes.
    pub stream: Box<TlsStream<TcpStream>>,
    /// Negotiated ALPN protocol.
    pub alpn: Option<Arc<str>>,
    /// URI SAN of the server's certificate.
    pub peer_uri_san: Option<Arc<str>>,
}

impl UpstreamContext {
    /// The context, with the slots of the secrets that it names.
    pub fn new(model: UpstreamTls, secrets: &Secrets) -> Self {
        let CommonTls {
            certificate,
            validation,
            ..
        } = &model.common;
        let certificate = certificate.as_ref().map(|name| secrets.slot(name));
        let roots = validation.as_ref().map(|v| secrets.slot(&v.trusted_ca));
        // Without a server name to send, rustls still wants one; an address is never sent.
        let wanted = if model.sni.is_empty() {
            "0.0.0.0".to_owned()
        } else {
            model.sni.clone()
        };
        let server_name = ServerName::try_from(wanted.clone()).map_err(|_| wanted);
        Self {
            model,
            server_name,
            certificate,
            roots,
            built: ArcSwap::default(),
        }
    }

    /// The model that it was compiled from.
    pub fn model(&self) -> &UpstreamTls {
        &self.model
    }

    /// Whether all secrets that it names have arrived.
    pub fn is_warm(&self) -> bool {
        self.certificate
            .iter()
            .chain(&self.roots)
            .all(|slot| slot.is_filled())
    }

    /// Establishes TLS on `tcp`, offering `alpn` instead of the context's own list if given. Bounding its time is the
    /// caller's business: the connect timeout covers it.
    ///
    /// # Errors
    /// If a secret is missing, or the handshake fails.
    pub async fn connect(
        &self,
        tcp: TcpStream,
        alpn: Option<&[String]>,
    ) -> Result<Connected, Error> {
        let config = self.config_for(alpn.unwrap_or(&self.model.common.alpn))?;
        let name = self.server_name.clone().map_err(Error::ServerName)?;
        let stream = TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(Error::handshake)?;
        let session = stream.get_ref().1;
        let alpn = session
            .alpn_protocol()
            .and_then(|p| std::str::from_utf8(p).ok())
            .map(Arc::from);
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        let peer_uri_san = leaf.and_then(|der| super::san::first_uri(der));
        Ok(Connected {
            alpn,
            peer_uri_san,
            stream: Box::new(stream),
        })
    }

    fn config_for(&self, alpn: &[String]) -> Result<Arc<ClientConfig>, Error> {
        let secrets = [&self.certificate, &self.roots].map(|slot| {
            slot.as_ref()
                .map_or_else(SlotVersion::default, |s| s.version())
        });
        let known = self.built.load();
        if let Some(built) = known
            .iter()
            .find(|b| b.alpn == alpn && b.secrets == secrets)
        {
            return Ok(Arc::clone(&built.config));
        }
        let config = Arc::new(self.config(alpn)?);
        let built = Built {
            secrets,
            alpn: alpn.to_vec(),
            config: Arc::clone(&config),
        };
        // Configurations of older secrets go. Two workers may both build one; the last stays, both work.
        let current = known
            .iter()
            .filter(|b| b.secrets == built.secrets && b.alpn != built.alpn)
            .cloned();
        let all = current.chain([built.clone()]).collect();
        self.built.store(Arc::new(all));
        Ok(config)
    }

    fn config(&self, alpn: &[String]) -> Result<ClientConfig, Error> {
        let common = &self.model.common;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(common.min_version, common.max_version))
            .map_err(Error::Context)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier()?);
        let mut config = match certificate(self.certificate.as_deref())? {
            Some((key, _)) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        config.enable_sni = !self.model.sni.is_empty();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(config)
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let names = self
            .model
            .common
            .validation
            .as_ref()
            .map(|v| v.subject_alt_names.clone())
            .unwrap_or_default();
        // Without a validation context Envoy accepts any certificate. We have no use for that, and refuse all.
        let roots =
            roots(self.roots.as_deref())?.unwrap_or_else(|| Arc::new(RootCertStore::empty()));
        Ok(Arc::new(ServerVerifier {
            roots,
            names,
            provider: provider(),
        }))
    }
}
