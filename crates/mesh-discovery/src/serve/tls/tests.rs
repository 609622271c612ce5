//! Port 15012 as clients meet it.

use crate::ca::{
    authority::Authority,
    caller::{PeerCertificate, Tokens},
    review::TokenReviewer,
};
use crate::testing::{
    api::Api as ApiServer,
    node_id,
    secure::{Identity, Secure, channel, client_config, connect, connect_with},
    service, slice,
    tokens::{claims, sign},
};
use mesh_xds::ads::ResourceType;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;
use tower::{Service as _, ServiceExt as _};

async fn plane() -> Secure {
    Secure::serving(&(service("web") + &slice("web", &["10.0.0.1"]))).await
}

#[tokio::test]
async fn a_workload_gets_a_certificate_by_token_and_its_configuration_by_certificate() {
    let plane = plane().await;
    let token = plane.token("test", "web");
    let identity = plane
        .certify(plane.channel(None).await, Some(&token))
        .await
        .expect("issued");
    // Without a token: the certificate is enough for configuration, but not for its own renewal.
    let channel = plane.channel(Some(&identity)).await;
    let mut client = plane
        .delta(channel.clone(), None, node_id("a", "10.0.1.1"))
        .await
        .expect("opened");
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    assert!(!client.next().await.resources.is_empty());
    let alone = plane.certify(channel.clone(), None).await.map(drop);
    let alone = alone.expect_err("refused");
    assert_eq!(alone.code(), Code::Unauthenticated);
    assert!(alone.message().contains("not renewed by itself"), "{alone}");
    assert!(plane.certify(channel, Some(&token)).await.is_ok());
    let connected = plane
        .plane
        .hub
        .connections
        .find("a.test")
        .expect("connected");
    assert_eq!(
        connected.identity.as_deref(),
        Some("spiffe://cluster.local/ns/test/sa/web")
    );
    assert_eq!(plane.plane.hub.metrics.csr_success.get(), 2);
}

#[tokio::test]
async fn f14_while_the_api_server_is_away_a_certificate_buys_the_next_one() {
    let api = ApiServer::start().await;
    api.review("tokenreviews", |_| {
        let user = json!({"username": "system:serviceaccount:test:web"});
        let status = json!({"authenticated": true, "audiences": ["istio-ca"], "user": user});
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": status})
    });
    let reviewer = TokenReviewer::new(api.client(), vec!["istio-ca".into()], "cluster.local");
    let key = KeyPair::generate().expect("key");
    let plane = Secure::checking(
        &(service("web") + &slice("web", &["10.0.0.1"])),
        key,
        Tokens::Reviews(Box::new(reviewer)),
    )
    .await;
    // Each is another, so that none is remembered.
    let fresh = |n: u64| {
        let mut claims = claims("test", "web");
        claims["exp"] = json!(claims["exp"].as_u64().expect("a time") + n);
        sign(&plane.issuer_key, &claims)
    };
    let first = plane
        .certify(plane.channel(None).await, Some(&fresh(0)))
        .await
        .expect("issued");
    api.set_broken(Some(http::StatusCode::SERVICE_UNAVAILABLE));
    let refused = plane
        .certify(plane.channel(None).await, Some(&fresh(1)))
        .await;
    let refused = refused.map(drop).expect_err("nobody can say");
    assert_eq!(refused.code(), Code::Unavailable);
    let channel = plane.channel(Some(&first)).await;
    let second = plane.certify(channel.clone(), Some(&fresh(2))).await;
    let second = second.expect("the certificate stands in");
    let read = |identity: &Identity| {
        let leaf = CertificateDer::from_pem_slice(identity.chain[0].as_bytes()).expect("PEM");
        PeerCertificate::read(&leaf, "cluster.local").expect("a workload's")
    };
    let (before, after) = (read(&first), read(&second));
    assert_eq!(before.identity, after.identity);
    assert_eq!(before.begin, after.begin, "says when a token was checked");
    assert_eq!(plane.plane.hub.metrics.csr_by_certificate.get(), 1);
    // And configuration.
    let token = fresh(3);
    let delta = plane.delta(channel, Some(&token), node_id("a", "10.0.1.1"));
    let mut delta = delta.await.expect("opened");
    delta.subscribe(ResourceType::Cluster, &["*"]).await;
    assert!(!delta.next().await.resources.is_empty());
    // As soon as it is back, it has the word.
    api.set_broken(None);
    let channel = plane.channel(Some(&second)).await;
    let third = plane.certify(channel, Some(&fresh(4))).await;
    let third = third.expect("issued");
    assert!(read(&third).begin >= before.begin);
    assert_eq!(plane.plane.hub.metrics.csr_by_certificate.get(), 1);
}

#[tokio::test]
async fn sec_62_credentials_are_required_and_the_reason_is_said() {
    let plane = plane().await;
    let refusal = async |token: Option<&str>| {
        plane
            .certify(plane.channel(None).await, token)
            .await
            .map(|_| ())
            .expect_err("refused")
    };
    let expired = {
        let mut claims = claims("test", "web");
        claims["exp"] = json!(1);
        sign(&plane.issuer_key, &claims)
    };
    for (token, reason) in [
        (None, "no credentials"),
        (Some("garbage"), "not a JWT"),
        (Some(&*expired), "expired"),
    ] {
        let status = refusal(token).await;
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().contains(reason), "{}", status.message());
    }
    assert_eq!(plane.plane.hub.metrics.authentication_failures.get(), 3);
}

#[tokio::test]
async fn sec_56_configuration_is_for_who_has_proven_to_be_the_node() {
    let plane = plane().await;
    let nobody = plane
        .delta(plane.channel(None).await, None, node_id("a", "10.0.1.1"))
        .await
        .map(|_| ());
    assert_eq!(nobody.expect_err("refused").code(), Code::Unauthenticated);
    let token = plane.token("other", "web");
    let stranger = plane
        .delta(
            plane.channel(None).await,
            Some(&token),
            node_id("a", "10.0.1.1"),
        )
        .await;
    let mut stranger = stranger.expect("opened: the node is not known yet");
    stranger.subscribe(ResourceType::Cluster, &["*"]).await;
    let status = stranger.status().await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(
        status.message().contains("claims namespace test"),
        "{}",
        status.message()
    );
    assert_eq!(plane.plane.hub.connections.count(), 0);
}

#[tokio::test]
async fn a_certificate_of_another_mesh_does_not_open_the_door() {
    let (ours, theirs) = (plane().await, plane().await);
    let token = theirs.token("test", "web");
    let foreign = theirs
        .certify(theirs.channel(None).await, Some(&token))
        .await
        .expect("issued");
    let refused = async {
        let mut stream = ours.connect(Some(&foreign)).await?;
        // TLS 1.3 tells the client with the first read.
        stream.read_exact(&mut [0]).await
    };
    assert!(refused.await.is_err());
}

#[tokio::test]
async fn sec_36_half_open_handshakes_and_garbage_hold_up_nobody() {
    let plane = plane().await;
    let mut half_open = Vec::new();
    for _ in 0..200 {
        half_open.push(TcpStream::connect(plane.address).await.expect("connected"));
    }
    for _ in 0..50 {
        let mut stream = TcpStream::connect(plane.address).await.expect("connected");
        // The server may close before all is written.
        let _ = stream.write_all(&[0x16, 3, 1, 0xff, 0xff, 1, 2, 3]).await;
        half_open.push(stream);
    }
    let real = tokio::time::timeout(Duration::from_secs(5), plane.channel(None)).await;
    assert!(real.is_ok());
}

#[tokio::test]
async fn a_renewed_certificate_counts_from_the_next_connection_on() {
    let plane = plane().await;
    let shown = async || {
        let stream = plane.connect(None).await.expect("handshake");
        stream
            .get_ref()
            .1
            .peer_certificates()
            .expect("a certificate")[0]
            .clone()
    };
    let before = shown().await;
    assert_eq!(before, shown().await);
    let standing = plane.channel(None).await;
    let renewed = plane
        .certificate
        .renew(SystemTime::now() + Duration::from_secs(13 * 3600));
    assert!(renewed.expect("renewed"));
    // The new one is of tomorrow.
    let refused = plane.connect(None).await.expect_err("not valid yet");
    assert!(refused.to_string().contains("not valid yet"), "{refused}");
    let token = plane.token("test", "web");
    assert!(
        plane.certify(standing, Some(&token)).await.is_ok(),
        "what stands stays"
    );
}

#[tokio::test]
async fn the_server_is_not_trusted_by_the_roots_of_another() {
    let (ours, theirs) = (plane().await, plane().await);
    let roots = theirs.authority.authority().trust_store().expect("roots");
    assert!(
        connect(ours.address, roots, None::<&Identity>)
            .await
            .is_err()
    );
}

/// A root and its key, in PEM.
type Root = (String, String);

/// Writes the authority's files, as who rotates by hand does, and has them read.
async fn rotate(plane: &Secure, signs: &Root, trusted: &[&Root]) {
    let trusted: String = trusted
        .iter()
        .map(|(certificate, _)| certificate.as_str())
        .collect();
    let files = [
        ("ca-cert.pem", &signs.0),
        ("ca-key.pem", &signs.1),
        ("root-cert.pem", &trusted),
    ];
    for (name, text) in files {
        std::fs::write(plane.directory.path().join(name), text).expect("written");
    }
    assert!(plane.authority.reload().await.expect("read"));
    assert!(plane.certificate.renew(SystemTime::now()).expect("renewed"));
}

fn root_in_force(plane: &Secure) -> Root {
    let read = |name| std::fs::read_to_string(plane.directory.path().join(name)).expect("read");
    (read("ca-cert.pem"), read("ca-key.pem"))
}

/// Has a certificate issued to a workload that trusts `roots`.
async fn workload(plane: &Secure, roots: rustls::RootCertStore) -> Identity {
    let stream = connect(plane.address, roots, None)
        .await
        .expect("the server is trusted");
    let token = plane.token("test", "web");
    let issued = plane.certify(channel(stream).await, Some(&token)).await;
    issued.expect("issued")
}

/// Whether a workload gets in, by its certificate and the roots that it was told.
async fn gets_in(plane: &Secure, workload: &Identity) -> bool {
    passes(plane, client_config(workload.roots(), Some(workload))).await
}

async fn passes(plane: &Secure, client: Arc<rustls::ClientConfig>) -> bool {
    let Ok(mut stream) = connect_with(plane.address, client).await else {
        return false;
    };
    // TLS 1.3 tells the client with the first read, which is else the server's first HTTP/2 frame.
    stream.read_exact(&mut [0]).await.is_ok()
}

#[tokio::test]
async fn f17_a_root_is_replaced_under_clients_that_stay_connected() {
    let plane = plane().await;
    let old = root_in_force(&plane);
    let new = Authority::self_signed("cluster.local", SystemTime::now()).expect("a root");
    let early = workload(&plane, crate::testing::secure::roots(&old.0)).await;
    let stream = connect(plane.address, early.roots(), Some(&early)).await;
    let channel = channel(stream.expect("connected")).await;
    let delta = plane.delta(channel, None, node_id("a", "10.0.1.1")).await;
    let mut delta = delta.expect("opened");
    delta.subscribe(ResourceType::Cluster, &["*"]).await;
    delta.next().await;
    let web = "outbound|80||web.test.svc.cluster.local";
    delta.subscribe(ResourceType::Endpoint, &[web]).await;
    delta.next().await;
    let mut address = 1;
    let mut is_served = async || {
        address += 1;
        plane
            .plane
            .apply(&slice("web", &[&format!("10.0.0.{address}")]))
            .await;
        assert_eq!(delta.next().await.resources[0].name, web);
    };

    rotate(&plane, &old, &[&old, &new]).await;
    is_served().await;
    assert!(
        gets_in(&plane, &early).await,
        "it trusts the old root, which still signs"
    );
    let between = workload(&plane, early.roots()).await;
    assert_eq!(
        between.roots().len(),
        2,
        "whoever renews hears of the new root"
    );

    rotate(&plane, &new, &[&old, &new]).await;
    is_served().await;
    assert!(
        gets_in(&plane, &between).await,
        "a certificate of the old root is still taken"
    );
    assert!(
        !gets_in(&plane, &early).await,
        "who has not renewed does not know the server any more"
    );
    let late = workload(&plane, between.roots()).await;
    assert!(gets_in(&plane, &late).await);
    let remembers = client_config(between.roots(), Some(&between));
    assert!(
        passes(&plane, remembers.clone()).await,
        "it has a ticket now"
    );

    rotate(&plane, &new, &[&new]).await;
    is_served().await;
    assert!(gets_in(&plane, &late).await);
    assert!(!gets_in(&plane, &between).await, "the old root is refused");
    assert!(
        !passes(&plane, remembers).await,
        "and so is a ticket of before"
    );
    assert_eq!(
        plane.plane.hub.connections.count(),
        1,
        "the first stream stands"
    );
}

#[tokio::test]
async fn f18_an_authority_that_has_ended_says_so_and_goes_on_when_it_is_replaced() {
    let plane = plane().await;
    let ends = SystemTime::now() + Duration::from_secs(3);
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_after = ends.into();
    let certificate = params.self_signed(&key).expect("signed").pem();
    let (good, short) = (root_in_force(&plane), (certificate, key.serialize_pem()));
    rotate(&plane, &short, &[&short, &good]).await;
    let standing = plane.channel(None).await;
    let token = plane.token("test", "web");
    assert!(plane.certify(standing.clone(), Some(&token)).await.is_ok());
    let left = ends.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_secs(1)).await;
    let refused = plane.certify(standing.clone(), Some(&token)).await;
    let refused = refused.map(|_| ()).expect_err("it has ended");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(
        refused.message().contains("has expired"),
        "{}",
        refused.message()
    );
    let own = plane
        .certificate
        .renew(SystemTime::now() + Duration::from_secs(1));
    let own = own.expect_err("nor is there one for the server");
    assert!(std::error::Error::source(&own).is_some(), "{own}");
    rotate(&plane, &good, &[&good]).await;
    assert!(plane.certify(standing, Some(&token)).await.is_ok());
    assert!(
        plane
            .certify(plane.channel(None).await, Some(&token))
            .await
            .is_ok()
    );
}

/// Bytes of a gRPC message: its length, as `length` says, and its content.
fn framed(compressed: u8, length: u32, content: &[u8]) -> Vec<u8> {
    let mut all = vec![compressed];
    all.extend(length.to_be_bytes());
    all.extend(content);
    all
}

/// A field of a protobuf message that holds `content`.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    field.extend(content);
    field
}

/// Lists in lists, as the metadata of a node and as that of a signing request.
fn too_deep() -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..2000 {
        value = field(6, &field(1, &value));
    }
    let metadata = field(1, &[field(1, b"a"), field(2, &value)].concat());
    let node = field(3, &metadata);
    [field(1, &node), field(2, &node), field(4, &metadata)].concat()
}

/// Messages that nobody honest sends.
fn malformed(n: u32, nested: &[u8]) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(n.into());
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(64).collect();
    match n % 8 {
        0 => bytes,
        1 => framed(0, 64, &bytes),
        2 => framed(0, u32::MAX, &bytes),
        3 => framed(1, 64, &bytes),
        4 => framed(7, 64, &bytes),
        5 => framed(0, 64, &bytes[..10]),
        6 => framed(0, u32::try_from(nested.len()).expect("small"), nested),
        _ => Vec::new(),
    }
}

/// `MESH_LONG=1` sends a million, which takes many minutes.
#[tokio::test]
async fn sec_55_malformed_messages_without_and_with_credentials_are_refused_one_by_one() {
    let count: u32 = if std::env::var_os("MESH_LONG").is_some() {
        1_000_000
    } else {
        800
    };
    const PATHS: [&str; 4] = [
        "istio.v1.auth.IstioCertificateService/CreateCertificate",
        "envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        "envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
        "no.such.Service/Call",
    ];
    let nested = too_deep();
    let plane = plane().await;
    let token = plane.token("test", "web");
    let mut channel = plane.channel(None).await;
    let standing = plane.channel(None).await;
    let mut refused = 0;
    for n in 0..count {
        let path = PATHS[n as usize / 8 % PATHS.len()];
        let mut request = http::Request::post(format!("http://istiod/{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if n.is_multiple_of(3) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = tonic::body::Body::new(axum::body::Body::from(malformed(n, &nested)));
        let request = request.body(body).expect("a request");
        let answered = async {
            let Ok(ready) = channel.ready().await else {
                return Err("the connection is gone".to_owned());
            };
            let response = ready.call(request).await.map_err(|e| e.to_string())?;
            let early = response.headers().get("grpc-status").cloned();
            let body = axum::body::Body::new(response.into_body());
            let read = axum::body::to_bytes(body, 1 << 20).await;
            Ok((early, read.is_ok()))
        };
        let answered = tokio::time::timeout(Duration::from_secs(10), answered).await;
        match answered.expect("an answer in time") {
            Ok((early, _)) => {
                assert_ne!(
                    early.as_ref().map(|s| s.as_bytes()),
                    Some(&b"0"[..]),
                    "{n}: {path}"
                );
                refused += 1;
            }
            // The whole connection may be given up; then there is a new one.
            Err(_) => channel = plane.channel(None).await,
        }
    }
    assert!(refused > count / 2, "{refused} of {count} were answered");
    assert_eq!(plane.plane.hub.connections.count(), 0);
    assert!(
        plane.certify(standing, Some(&token)).await.is_ok(),
        "others are not concerned"
    );
}
