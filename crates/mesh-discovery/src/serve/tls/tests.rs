//! Port 15012 as clients meet it.

use crate::testing::{
    node_id,
    secure::{Identity, Secure, connect},
    service, slice,
    tokens::{claims, sign},
};
use mesh_xds::ads::ResourceType;
use serde_json::json;
use std::time::{Duration, SystemTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;

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
    // Without a token: the certificate is enough, for configuration and for its own renewal.
    let channel = plane.channel(Some(&identity)).await;
    let mut client = plane
        .delta(channel.clone(), None, node_id("a", "10.0.1.1"))
        .await
        .expect("opened");
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    assert!(!client.next().await.resources.is_empty());
    assert!(plane.certify(channel, None).await.is_ok());
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
