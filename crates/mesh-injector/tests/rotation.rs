//! Certificate and caBundle are replaced while reviews come: in whichever order, none fails.

use std::{
    convert::Infallible,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::{Method, Request, Response};
use mesh_api::k8s::ByteString;
use mesh_injector::{
    Settings,
    webhook::{
        certificate::{self, Serving},
        http::{Webhook, reviews},
        live::{Kubelets, Live},
        metrics::Metrics,
        registration, roots,
        tls::Port,
    },
};
use mesh_runtime::{readiness::Readiness, shutdown::Shutdown};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

const NAME: &str = "istio-sidecar-injector.istio-system.svc";
const CONFIGURATION: &str = "istio-sidecar-injector";
/// Longest wait for a change to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// An API server with one webhook configuration.
#[derive(Clone)]
struct Api(Arc<Mutex<State>>);

struct State {
    object: Value,
    version: u64,
    watches: Vec<mpsc::UnboundedSender<Bytes>>,
}

impl Api {
    fn new() -> Self {
        let entry = |name: &str| json!({"name": name, "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": ["v1"]});
        let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": CONFIGURATION, "resourceVersion": "1"},
            "webhooks": [entry("namespace.sidecar-injector.istio.io"), entry("object.sidecar-injector.istio.io")]});
        Self(Arc::new(Mutex::new(State {
            object,
            version: 1,
            watches: Vec::new(),
        })))
    }

    fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let sent = body.collect_bytes().await.expect("a body");
        let mut state = self.0.lock();
        if head.method == Method::PATCH {
            state.patch(&serde_json::from_slice(&sent).expect("a patch"));
            return Response::new(Body::from(state.object.to_string()));
        }
        if head.uri.query().unwrap_or_default().contains("watch=true") {
            let (send, lines) = mpsc::unbounded_channel();
            state.watches.push(send);
            let lines = stream::unfold(lines, |mut lines| async {
                Some((Ok::<_, Infallible>(lines.recv().await?), lines))
            });
            return Response::new(Body::from_stream(lines));
        }
        let version = state.version.to_string();
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": [state.object]});
        Response::new(Body::from(list.to_string()))
    }

    /// What the API server verifies the webhook with, for each entry.
    fn bundles(&self) -> Vec<String> {
        let state = self.0.lock();
        let entries = state.object["webhooks"].as_array().expect("entries").iter();
        let bundle = |entry: &Value| {
            let bundle = serde_json::from_value(entry["clientConfig"]["caBundle"].clone());
            let bundle: Option<ByteString> = bundle.expect("base64 or nothing");
            String::from_utf8(bundle.unwrap_or_default().0).expect("text")
        };
        entries.map(bundle).collect()
    }
}

impl State {
    /// A strategic merge: entries are found by their names.
    fn patch(&mut self, patch: &Value) {
        assert_eq!(
            patch["metadata"]["resourceVersion"], self.object["metadata"]["resourceVersion"],
            "a patch is made for the version that stands"
        );
        for change in patch["webhooks"].as_array().expect("entries") {
            let entries = self.object["webhooks"].as_array_mut().expect("entries");
            let mut named = entries.iter_mut().filter(|e| e["name"] == change["name"]);
            let entry = named.next().expect("an entry of that name");
            entry["clientConfig"]["caBundle"] = change["clientConfig"]["caBundle"].clone();
        }
        self.version += 1;
        self.object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let line = format!("{}\n", json!({"type": "MODIFIED", "object": self.object}));
        self.watches
            .retain(|watch| watch.send(line.clone().into()).is_ok());
    }
}

type Root = CertifiedIssuer<'static, KeyPair>;

fn root() -> Root {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root")
}

/// Replaces a file at once, as the kubelet does.
fn put(folder: &Path, name: &str, text: &str) {
    let fresh = folder.join(format!("{name}.new"));
    std::fs::write(&fresh, text).expect("written");
    std::fs::rename(fresh, folder.join(name)).expect("renamed");
}

fn put_certificate(folder: &Path, root: &Root) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
    let leaf = params.signed_by(&key, root).expect("signed");
    put(folder, "key", &key.serialize_pem());
    put(folder, "cert", &leaf.pem());
}

/// Sends a review as an API server does that trusts `bundle`.
async fn review(address: std::net::SocketAddr, bundle: &str) -> std::io::Result<String> {
    let mut trusted = RootCertStore::empty();
    for der in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        trusted.add(der.expect("PEM")).expect("a root");
    }
    let config = ClientConfig::builder_with_provider(certificate::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let name = ServerName::try_from(NAME).expect("a name");
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": "test",
        "object": {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "app"}]}}}})
    .to_string();
    let head = format!(
        "POST /inject HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A webhook whose certificate and roots stand in files of `folder`; gives its address.
async fn start(folder: &Path, api: &Api, tasks: &mut JoinSet<()>) -> std::net::SocketAddr {
    let (shutdown, readiness) = (Shutdown::new(), Readiness::new());
    let metrics = Arc::new(Metrics::default());
    let serving = Serving::new(ServerName::try_from(NAME).expect("a name"), metrics.clone());
    let (announce, known) = watch::channel(None);
    let file = |name: &str| folder.join(name);
    let source = certificate::Source::Files(file("cert"), file("key"));
    let first = |name| readiness.condition(name, "not yet");
    tasks.spawn(roots::run(
        roots::Source::File(file("roots")),
        announce,
        shutdown.clone(),
    ));
    tasks.spawn(certificate::run(
        source,
        serving.clone(),
        known.clone(),
        first("certificate"),
        shutdown.clone(),
    ));
    tasks.spawn(registration::run(
        api.client(),
        CONFIGURATION.into(),
        known,
        (serving.clone(), Duration::from_secs(1)),
        first("caBundle"),
        shutdown.clone(),
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let webhook = Arc::new(Webhook {
        live: Arc::new(Live::new(Settings::default(), Kubelets::default())),
        metrics: metrics.clone(),
        readiness: readiness.clone(),
    });
    let port = Port {
        listener,
        tls: Some(serving.config().expect("TLS")),
        router: reviews(webhook),
        metrics,
        lame_duck: Duration::ZERO,
    };
    tasks.spawn(port.serve(shutdown));
    eventually("ready", || readiness.check().is_ok()).await;
    address
}

#[tokio::test]
async fn f21_no_review_fails_while_certificate_and_bundle_are_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, api, mut tasks) = (folder.path(), Api::new(), JoinSet::new());
    let roots = [root(), root(), root(), root()];
    put(folder, "roots", &roots[0].pem());
    put_certificate(folder, &roots[0]);
    let address = start(folder, &api, &mut tasks).await;
    eventually("registered", || api.bundles() == vec![roots[0].pem(); 2]).await;

    let (asked, loaded) = (Arc::new(Mutex::new((0, Vec::new()))), api.clone());
    let counted = asked.clone();
    tasks.spawn(async move {
        loop {
            for bundle in loaded.bundles() {
                let answer = review(address, &bundle).await;
                let good = answer
                    .as_ref()
                    .is_ok_and(|a| a.starts_with("HTTP/1.1 200") && a.contains("\"allowed\":true"));
                let mut counted = counted.lock();
                counted.0 += 1;
                if !good {
                    counted.1.push(format!("{answer:?}"));
                }
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    });
    let pause = || tokio::time::sleep(Duration::from_millis(2500));
    // The roots first.
    put(folder, "roots", &roots[1].pem());
    pause().await;
    let both = api.bundles().concat();
    assert!(
        both.contains(&roots[1].pem()) && both.contains(&roots[0].pem()),
        "{both}"
    );
    put_certificate(folder, &roots[1]);
    eventually("the old root is gone", || {
        api.bundles() == vec![roots[1].pem(); 2]
    })
    .await;
    // The certificate first.
    put_certificate(folder, &roots[2]);
    pause().await;
    assert_eq!(api.bundles(), vec![roots[1].pem(); 2]);
    put(folder, "roots", &roots[2].pem());
    eventually("the new root alone", || {
        api.bundles() == vec![roots[2].pem(); 2]
    })
    .await;
    // Both at once.
    put_certificate(folder, &roots[3]);
    put(folder, "roots", &roots[3].pem());
    eventually("the last root alone", || {
        api.bundles() == vec![roots[3].pem(); 2]
    })
    .await;
    pause().await;
    let asked = asked.lock();
    println!("{} reviews, {} failed", asked.0, asked.1.len());
    assert!(asked.0 > 50 && asked.1.is_empty(), "{:#?}", asked.1);
}

#[tokio::test]
async fn sec_61_who_speaks_no_tls_or_trusts_somebody_else_harms_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (folder, api, mut tasks) = (folder.path(), Api::new(), JoinSet::new());
    let (ours, other) = (root(), root());
    put(folder, "roots", &ours.pem());
    put_certificate(folder, &ours);
    let address = start(folder, &api, &mut tasks).await;
    for bytes in [
        &b"POST /inject HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"[..],
        &[0xff; 4096],
        &[0x16, 3, 1, 0xff, 0xff, 1],
    ] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        // The server may close before all is written.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
        let _ = closed.await.expect("the connection is closed");
        assert!(
            !String::from_utf8_lossy(&answer).contains("HTTP"),
            "{answer:?}"
        );
    }
    assert!(
        review(address, &other.pem()).await.is_err(),
        "another authority's"
    );
    let mut half_open = Vec::new();
    for _ in 0..1100 {
        let socket = TcpSocket::new_v4().expect("a socket");
        let elsewhere = "127.0.0.2:0".parse().expect("an address");
        socket.bind(elsewhere).expect("bound");
        half_open.push(socket.connect(address).await.expect("connected"));
    }
    let first = review(address, &ours.pem()).await.expect("an answer");
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let again = review(address, &ours.pem()).await.expect("an answer");
    let body = |answer: &str| {
        answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
    };
    assert_eq!(
        body(&first),
        body(&again),
        "the same question has the same answer"
    );
}
