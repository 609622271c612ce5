use super::{
    caller::{Proof, identity_of},
    directory::CaDirectory,
    server_certificate::ServerCertificate,
    *,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Setup {
    _dir: tempfile::TempDir,
    ca: Arc<CertificateAuthority>,
}

fn setup() -> Setup {
    let dir = tempfile::tempdir().expect("directory");
    let ca = CertificateAuthority::open(
        CaDirectory::new(dir.path()),
        "cluster.local",
        Lifetime::default(),
    )
    .expect("authority");
    Setup {
        _dir: dir,
        ca: Arc::new(ca),
    }
}

fn caller() -> Caller {
    Caller {
        identity: "spiffe://cluster.local/ns/test/sa/web"
            .parse()
            .expect("identity"),
        pod: Some("web-0".into()),
        proof: Proof::Token,
    }
}

fn key_and_csr() -> (KeyPair, String) {
    let key = KeyPair::generate().expect("key");
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .and_then(|csr| csr.pem());
    (key, csr.expect("request"))
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("certificate")
}

/// A client that trusts the last element of an issued chain, with the certificate before it.
fn client(chain: &[String], key: &KeyPair) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let (root, own) = chain.split_last().expect("a chain");
    roots.add(der(root)).expect("root");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ClientConfig::builder_with_provider(authority::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(own.iter().map(|pem| der(pem)).collect(), key)
        .expect("client")
}

/// Shakes hands with the control plane's certificate and says whom the server saw.
async fn handshake(
    server: &ServerCertificate,
    client: ClientConfig,
    name: &'static str,
) -> std::io::Result<Option<String>> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let acceptor = tokio_rustls::TlsAcceptor::from(server.config());
    let accept = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await?;
        let id = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|c| identity_of(&c[0], "cluster.local"));
        stream.write_all(b"ok").await?;
        stream.shutdown().await?;
        std::io::Result::Ok(id.map(|id| id.to_string()))
    });
    let name = ServerName::try_from(name).expect("name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let mut stream = connector.connect(name, near).await?;
    let mut greeting = Vec::new();
    stream.read_to_end(&mut greeting).await?;
    assert_eq!(greeting, b"ok");
    accept.await.expect("joined")
}

#[tokio::test]
async fn an_issued_certificate_opens_a_mutual_tls_connection() {
    let Setup { ca, _dir } = setup();
    let server = ServerCertificate::issue(
        ca.clone(),
        vec!["istiod.istio-system.svc".into(), "127.0.0.1".into()],
    )
    .expect("server");
    let (key, csr) = key_and_csr();
    let chain = ca.issue(&caller(), &csr, 0).expect("issued");
    for name in ["istiod.istio-system.svc", "127.0.0.1"] {
        let seen = handshake(&server, client(&chain, &key), name)
            .await
            .expect("handshake");
        assert_eq!(
            seen.as_deref(),
            Some("spiffe://cluster.local/ns/test/sa/web")
        );
    }
    assert!(
        handshake(&server, client(&chain, &key), "elsewhere")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (setup(), setup());
    let server =
        ServerCertificate::issue(ours.ca.clone(), vec!["localhost".into()]).expect("server");
    let (key, csr) = key_and_csr();
    let mut chain = theirs.ca.issue(&caller(), &csr, 0).expect("issued");
    *chain.last_mut().expect("roots") = ours.ca.authority().roots().to_pem();
    assert!(
        handshake(&server, client(&chain, &key), "localhost")
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn sec_62_a_flood_of_requests_is_cut() {
    let Setup { ca, _dir } = setup();
    let (_, csr) = key_and_csr();
    let outcomes: Vec<_> = (0..40).map(|_| ca.issue(&caller(), &csr, 0)).collect();
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 20);
    let refusal = outcomes.into_iter().find_map(Result::err).expect("cut");
    assert_eq!(
        refusal.to_string(),
        "too many signing requests from spiffe://cluster.local/ns/test/sa/web/web-0: try again in 1 s"
    );
}

#[test]
fn a_refusal_names_its_reason() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime");
    let _enter = runtime.enter();
    let Setup { ca, _dir } = setup();
    let refusal = ca.issue(&caller(), "hello", 0).expect_err("refused");
    assert_eq!(refusal.to_string(), "the signing request is refused");
    assert_eq!(
        refusal.source().map(ToString::to_string).as_deref(),
        Some("not a PEM block `CERTIFICATE REQUEST`")
    );
}

#[tokio::test]
async fn a_changed_directory_changes_authority_and_server_certificate() {
    let (a, b) = (setup(), setup());
    let server = ServerCertificate::issue(a.ca.clone(), vec!["localhost".into()]).expect("server");
    let now = SystemTime::now();
    assert!(!a.ca.reload().await.expect("unchanged"));
    assert!(!server.renew(now).expect("not due"));
    for name in [
        "root-cert.pem",
        "cert-chain.pem",
        "ca-cert.pem",
        "ca-key.pem",
    ] {
        std::fs::copy(b._dir.path().join(name), a._dir.path().join(name)).expect("copied");
    }
    assert!(a.ca.reload().await.expect("changed"));
    assert!(server.renew(now).expect("renewed"));
    assert_eq!(*a.ca.authority(), *b.ca.authority());
    let (key, csr) = key_and_csr();
    let chain = a.ca.issue(&caller(), &csr, 0).expect("issued");
    assert!(
        handshake(&server, client(&chain, &key), "localhost")
            .await
            .is_ok()
    );
    std::fs::write(a._dir.path().join("ca-key.pem"), "broken").expect("written");
    a.ca.reload().await.expect_err("broken");
    assert_eq!(*a.ca.authority(), *b.ca.authority());
}

#[test]
fn the_injector_is_also_called_by_its_service() {
    let dir = tempfile::tempdir().expect("directory");
    let ca = CertificateAuthority::open(
        CaDirectory::new(dir.path()),
        "cluster.local",
        Lifetime::default(),
    );
    let ca = ca.expect("authority").with_own_services(OwnServices {
        namespace: "istio-system".into(),
        domain: "cluster.local".into(),
    });
    let names = |account: &str| {
        let identity = format!("spiffe://cluster.local/ns/istio-system/sa/{account}");
        let caller = Caller {
            identity: identity.parse().expect("an identity"),
            pod: None,
            proof: Proof::Token,
        };
        let chain = ca.issue(&caller, &key_and_csr().1, 0).expect("issued");
        let leaf = der(&chain[0]);
        assert_eq!(
            identity_of(&leaf, "cluster.local").map(|id| id.to_string()),
            Some(identity)
        );
        let leaf = rustls::server::ParsedCertificate::try_from(&leaf).expect("parsed");
        let name = ServerName::try_from("istio-sidecar-injector.istio-system.svc").expect("name");
        rustls::client::verify_server_name(&leaf, &name).is_ok()
    };
    assert!(names("istio-sidecar-injector"));
    assert!(!names("default"));
}

/// What a certificate has bought begins when that began, and lives as long as any.
#[test]
fn a_begin_is_handed_down() {
    let Setup { ca, _dir } = setup();
    let read = |chain: &[String]| {
        caller::PeerCertificate::read(&der(&chain[0]), "cluster.local").expect("a workload's")
    };
    let begin = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let by_certificate = Caller {
        proof: Proof::Certificate { begin },
        ..caller()
    };
    let handed = read(
        &ca.issue(&by_certificate, &key_and_csr().1, 3600)
            .expect("issued"),
    );
    let fresh = read(&ca.issue(&caller(), &key_and_csr().1, 3600).expect("issued"));
    assert_eq!(handed.begin, begin);
    assert!(fresh.begin > begin);
    let apart = fresh.end.duration_since(handed.end).expect("signed later");
    assert!(apart < std::time::Duration::from_secs(10), "{apart:?}");
}
