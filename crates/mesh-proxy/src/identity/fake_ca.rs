//! A control plane for tests: a root, a TLS server on loopback, and a certificate authority whose answers are scripted.

use super::Own;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use mesh_model::secret::{PrivateKey, Secret, SecretValue};
use mesh_xds::pb::istio::auth::{
    IstioCertificateRequest, IstioCertificateResponse,
    istio_certificate_service_server::{IstioCertificateService, IstioCertificateServiceServer},
};
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    pki_types::{CertificateDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{Code, Request, Response, Status, service::Routes};

/// A self-signed root.
pub(crate) struct Root {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Root {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("key");
        let pem = params.self_signed(&key).expect("signed").pem();
        Arc::new(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// What a signing request asks for, for `life`.
    pub(crate) fn sign(&self, csr: &str, life: Duration) -> String {
        let mut csr = CertificateSigningRequestParams::from_pem(csr).expect("request");
        let end = SystemTime::now() + life;
        csr.params.not_before = (SystemTime::now() - Duration::from_secs(60)).into();
        csr.params.not_after = end.into();
        csr.signed_by(&self.issuer).expect("signed").pem()
    }

    /// The same for `identity`, whatever is asked for.
    fn sign_for(&self, identity: &str, csr: &str) -> String {
        let mut csr = CertificateSigningRequestParams::from_pem(csr).expect("request");
        let identity = identity.try_into().expect("a name");
        csr.params.subject_alt_names = vec![rcgen::SanType::URI(identity)];
        csr.signed_by(&self.issuer).expect("signed").pem()
    }

    /// A workload's certificate in force.
    pub(crate) fn own(&self) -> Own {
        let key = KeyPair::generate().expect("key");
        let csr = CertificateParams::default().serialize_request(&key);
        let csr = csr.and_then(|csr| csr.pem()).expect("request");
        let life = Duration::from_secs(3600);
        let secret = Secret {
            name: mesh_model::name::DEFAULT_SECRET.into(),
            value: SecretValue::Certificate {
                chain: self.sign(&csr, life).into_bytes(),
                key: PrivateKey(key.serialize_pem().into_bytes()),
            },
        };
        let own = Own::default();
        let key = crate::tls::secret::certified(&secret).expect("usable");
        own.set(key, SystemTime::now() + life);
        own
    }

    /// As `localhost`, until `end`; takes client certificates of its own.
    fn server(&self, end: SystemTime) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("name");
        params.not_after = end.into();
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let chain = vec![certificate.der().clone()];
        let key = key.serialize_der().try_into().expect("key");
        let builder = rustls::ServerConfig::builder_with_provider(crate::tls::provider())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.into(), crate::tls::provider())
                .allow_unauthenticated()
                .build()
                .expect("roots");
        let config = builder
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key);
        let mut config = config.expect("certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

/// What the authority does with one request.
pub(crate) enum Answer {
    Sign(Arc<Root>, Duration),
    /// Signs for another identity than was asked for.
    SignFor(&'static str, Arc<Root>),
    Refuse(Code),
}

/// The authority: answers as told, the last answer again and again, and remembers who asked.
#[derive(Default)]
pub(crate) struct FakeCa {
    pub(crate) answers: Mutex<VecDeque<Answer>>,
    pub(crate) tokens: Mutex<Vec<String>>,
}

#[tonic::async_trait]
impl IstioCertificateService for FakeCa {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let token = request.metadata().get("authorization");
        let token = token.expect("a token").to_str().expect("text").to_owned();
        self.tokens.lock().push(token);
        let mut answers = self.answers.lock();
        let last = answers.len() == 1;
        let answer = answers.pop_front().expect("scripted");
        let result = match &answer {
            Answer::Refuse(code) => Err(Status::new(*code, "not you")),
            Answer::Sign(root, life) => {
                Ok(answered(root, root.sign(&request.get_ref().csr, *life)))
            }
            Answer::SignFor(identity, root) => Ok(answered(
                root,
                root.sign_for(identity, &request.get_ref().csr),
            )),
        };
        if last {
            answers.push_front(answer);
        }
        result
    }
}

fn answered(root: &Root, leaf: String) -> Response<IstioCertificateResponse> {
    let cert_chain = vec![leaf, root.pem.clone()];
    Response::new(IstioCertificateResponse { cert_chain })
}

impl FakeCa {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            tokens: Mutex::default(),
        })
    }

    pub(crate) fn routes(self: &Arc<Self>) -> Routes {
        Routes::new(IstioCertificateServiceServer::from_arc(Arc::clone(self)))
    }
}

/// A server; it stops when dropped.
pub(crate) struct FakeServer {
    pub(crate) port: u16,
    /// Of each connection, whether the client showed a certificate.
    pub(crate) shown: Arc<Mutex<Vec<bool>>>,
    _task: JoinSet<()>,
}

/// Serves `routes` on loopback over TLS, as `localhost`, certified by `root`; on `port`, or any if 0.
pub(crate) async fn serve(root: &Root, routes: Routes, port: u16) -> FakeServer {
    let end = SystemTime::now() + Duration::from_secs(24 * 3600);
    serve_until(root, routes, port, end).await
}

/// As [`serve`], with a certificate that ends so.
pub(crate) async fn serve_until(
    root: &Root,
    routes: Routes,
    port: u16,
    end: SystemTime,
) -> FakeServer {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = tokio_rustls::TlsAcceptor::from(root.server(end));
    let shown = Arc::<Mutex<Vec<bool>>>::default();
    let seen = Arc::clone(&shown);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((tcp, _)) = listener.accept().await else {
                return;
            };
            let (acceptor, routes, seen) = (acceptor.clone(), routes.clone(), Arc::clone(&seen));
            connections.spawn(async move {
                if let Ok(tls) = acceptor.accept(tcp).await {
                    let certificates = tls.get_ref().1.peer_certificates();
                    seen.lock().push(certificates.is_some());
                    let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
                    let service = TowerToHyperService::new(routes);
                    let _ = builder.serve_connection(TokioIo::new(tls), service).await;
                }
            });
        }
    });
    FakeServer {
        port,
        shown,
        _task: task,
    }
}
