//! A control plane over TLS, with its authority, and clients with tokens and certificates.

use super::{
    plane::{Delta, Plane},
    tokens::{Issuer, claims, sign},
};
use crate::{
    ca::{
        CertificateAuthority,
        authority::provider,
        caller::{Authenticator, Tokens},
        directory::CaDirectory,
        lifetime::Lifetime,
        server_certificate::ServerCertificate,
        service::CertificateService,
    },
    serve::{
        ads::Ads,
        grpc::{self, ServerSettings},
    },
};
use hyper_util::rt::TokioIo;
use mesh_xds::pb::istio::auth::{
    IstioCertificateRequest, istio_certificate_service_client::IstioCertificateServiceClient,
};
use rcgen::KeyPair;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject,
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::client::TlsStream;
use tonic::{Request, Status, service::Routes, transport::Channel};

/// The name in the server's certificate.
pub(crate) const NAME: &str = "istiod.istio-system.svc";

pub(crate) struct Secure {
    pub(crate) plane: Plane,
    pub(crate) address: SocketAddr,
    pub(crate) authority: Arc<CertificateAuthority>,
    pub(crate) certificate: Arc<ServerCertificate>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) issuer_key: KeyPair,
    /// The authority's files.
    pub(crate) directory: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

/// A certificate chain and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<String>,
    pub(crate) key: KeyPair,
}

impl Secure {
    pub(crate) async fn serving(manifests: &str) -> Self {
        let Issuer { key, verifier } = Issuer::new();
        Self::checking(manifests, key, Tokens::Keys(verifier)).await
    }

    /// One whose tokens, signed by `issuer_key`, are checked so.
    pub(crate) async fn checking(manifests: &str, issuer_key: KeyPair, tokens: Tokens) -> Self {
        let plane = Plane::serving(manifests).await;
        let directory = tempfile::tempdir().expect("directory");
        let authority = CertificateAuthority::open(
            CaDirectory::new(directory.path()),
            "cluster.local",
            Lifetime::default(),
        );
        let authority = Arc::new(authority.expect("authority"));
        let certificate = ServerCertificate::issue(authority.clone(), vec![NAME.into()]);
        let certificate = Arc::new(certificate.expect("certificate"));
        let authenticator = Arc::new(Authenticator::new(tokens));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let service = CertificateService::new(
            authority.clone(),
            authenticator.clone(),
            plane.hub.metrics.clone(),
        );
        let routes = Routes::new(Ads::authenticated(plane.hub.clone(), authenticator.clone()))
            .add_service(service);
        let settings = ServerSettings {
            max_connection_age: plane.hub.max_connection_age,
            shutdown: plane.hub.shutdown.clone(),
        };
        let serving = grpc::serve_tls(
            listener,
            certificate.clone(),
            "cluster.local".into(),
            routes,
            settings,
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { serving.await.expect("served") });
        Self {
            plane,
            address,
            authority,
            certificate,
            authenticator,
            issuer_key,
            directory,
            _tasks: tasks,
        }
    }

    /// A token of a service account.
    pub(crate) fn token(&self, namespace: &str, service_account: &str) -> String {
        sign(&self.issuer_key, &claims(namespace, service_account))
    }

    /// A TLS connection, with a client certificate or without.
    pub(crate) async fn connect(
        &self,
        identity: Option<&Identity>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let roots = self.authority.authority().trust_store().expect("roots");
        connect(self.address, roots, identity).await
    }

    /// A gRPC channel.
    pub(crate) async fn channel(&self, identity: Option<&Identity>) -> Channel {
        channel(self.connect(identity).await.expect("handshake")).await
    }

    /// Asks for a certificate.
    pub(crate) async fn certify(
        &self,
        channel: Channel,
        token: Option<&str>,
    ) -> Result<Identity, Status> {
        certify(channel, token).await
    }

    /// A delta stream.
    pub(crate) async fn delta(
        &self,
        channel: Channel,
        token: Option<&str>,
        id: String,
    ) -> Result<Delta, Status> {
        let token = token.map(|token| format!("Bearer {token}"));
        let channel = tower::ServiceBuilder::new()
            .map_request(move |mut request: http::Request<tonic::body::Body>| {
                if let Some(token) = &token {
                    request
                        .headers_mut()
                        .insert("authorization", token.parse().expect("ASCII"));
                }
                request
            })
            .service(channel);
        Delta::open(channel, id).await
    }
}

/// A gRPC channel over a connection.
pub(crate) async fn channel(stream: TlsStream<TcpStream>) -> Channel {
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_: http::Uri| {
        let stream = stream.take().ok_or(io::ErrorKind::NotConnected);
        async move { stream.map_err(io::Error::from) }
    });
    let endpoint = tonic::transport::Endpoint::from_static("http://istiod");
    let channel = endpoint.connect_with_connector(connector).await;
    channel.expect("connected")
}

/// Asks for a certificate.
pub(crate) async fn certify(channel: Channel, token: Option<&str>) -> Result<Identity, Status> {
    let key = KeyPair::generate().expect("key");
    let csr = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .and_then(|csr| csr.pem());
    let message = IstioCertificateRequest {
        csr: csr.expect("request"),
        ..Default::default()
    };
    let request = with_token(message, token);
    let response = IstioCertificateServiceClient::new(channel)
        .create_certificate(request)
        .await?;
    Ok(Identity {
        chain: response.into_inner().cert_chain,
        key,
    })
}

fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("ASCII");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

impl Identity {
    /// The roots that came with it.
    pub(crate) fn roots(&self) -> rustls::RootCertStore {
        roots(self.chain.last().expect("a chain"))
    }
}

/// The roots of a bundle.
pub(crate) fn roots(bundle: &str) -> rustls::RootCertStore {
    let mut store = rustls::RootCertStore::empty();
    for der in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        store.add(der.expect("PEM")).expect("a root");
    }
    store
}

/// A TLS connection to a server that must show a certificate under `roots`.
pub(crate) async fn connect(
    address: SocketAddr,
    roots: rustls::RootCertStore,
    identity: Option<&Identity>,
) -> io::Result<TlsStream<TcpStream>> {
    connect_with(address, client_config(roots, identity)).await
}

/// As [`connect`], with what may remember earlier connections.
pub(crate) async fn connect_with(
    address: SocketAddr,
    config: Arc<rustls::ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).expect("name");
    tokio_rustls::TlsConnector::from(config)
        .connect(name, stream)
        .await
}

/// A TLS client.
pub(crate) fn client_config(
    roots: rustls::RootCertStore,
    identity: Option<&Identity>,
) -> Arc<rustls::ClientConfig> {
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { chain, key }) => {
            let der =
                |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).expect("certificate");
            let own = chain[..chain.len() - 1].iter().map(der).collect();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            config
                .with_client_auth_cert(own, key)
                .expect("client certificate")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}
