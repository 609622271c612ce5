//! The authority is away for longer than a certificate lives: it serves until its end, then nobody is spoken with, and what is
//! wrong has a metric; a new one is in use soon after the authority is back.

use super::*;
use crate::{
    admin::scrape,
    tls::{DownstreamContext, Rewind, UpstreamContext},
};
use mesh_model::{
    matcher::StringMatch,
    tls::{CommonTls, DownstreamTls, PeerValidation, TlsVersion, UpstreamTls},
};
use tokio::net::{TcpListener, TcpStream};

/// What the mesh's connections ask of each other.
fn common() -> CommonTls {
    CommonTls {
        min_version: TlsVersion::V1_2,
        max_version: TlsVersion::V1_3,
        cipher_suites: Vec::new(),
        certificate: Some("default".into()),
        validation: Some(PeerValidation {
            trusted_ca: ROOT_CA_SECRET.into(),
            subject_alt_names: vec![StringMatch::Prefix("spiffe://cluster.local/".into()).into()],
        }),
        alpn: Vec::new(),
    }
}

/// Speaks mutual TLS with ourselves: a new connection as any pod makes one.
async fn speaks(secrets: &Secrets) -> Result<(), String> {
    let server = DownstreamTls {
        common: common(),
        require_client_certificate: true,
    };
    let client = UpstreamTls {
        common: common(),
        sni: "a.example".into(),
    };
    let server = DownstreamContext::new(server, secrets);
    let client = UpstreamContext::new(client, secrets);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let accept = async {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let tcp = Rewind::new(bytes::Bytes::new(), tcp);
        server.accept(tcp, SOON).await.err()
    };
    let connect = async {
        let tcp = TcpStream::connect(address).await.expect("a connection");
        client.connect(tcp, None).await.err()
    };
    let (server, client) = tokio::join!(accept, connect);
    match client.map(|error| crate::reason::one_line(&error)) {
        None if server.is_none() => Ok(()),
        told => Err(told.unwrap_or_else(|| "the server alone refuses".into())),
    }
}

#[tokio::test]
async fn f18_a_certificate_serves_to_its_end_then_fails_closed_and_recovers() {
    let life = Duration::from_secs(6);
    let root = Root::new("a");
    let ca = FakeCa::new([
        Answer::Sign(Arc::clone(&root), life),
        Answer::Refuse(Code::Unavailable),
    ]);
    let server = serve_ca(&root, &ca).await;
    let mut running = Running::start(Pod::new(&root), server.port);
    let end = running.until(|s| s.renewals == 1).await.not_after;
    let end = end.expect("it has an end");
    running.until(|s| s.failures >= 1).await;
    // X.509 counts whole seconds, and so do we near the end.
    let second = Duration::from_secs(1);
    let mut spoken = 0;
    while std::time::SystemTime::now() + second < end {
        assert_eq!(speaks(&running.secrets).await, Ok(()));
        spoken += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(spoken > 0, "the outage began before the end");
    let left = end.duration_since(std::time::SystemTime::now());
    tokio::time::sleep(left.unwrap_or_default() + second).await;
    let error = speaks(&running.secrets).await.expect_err("over");
    assert!(error.contains("cert_time"), "{error}");
    let status = running.status.borrow().clone();
    let page = scrape::certificate(&status);
    let line = "istio_agent_cert_expiry_seconds{resource_name=\"default\"} 0\n";
    assert!(page.contains(line), "{page}");
    let failures = format!(
        "istio_agent_certificate_failures_total {}\n",
        status.failures
    );
    assert!(status.failures > 0 && page.contains(&failures), "{page}");

    *ca.answers.lock() = [Answer::Sign(Arc::clone(&root), HOUR)].into();
    let back = std::time::Instant::now();
    running.until(|s| s.renewals == 2).await;
    println!("renewed {:?} after the authority was back", back.elapsed());
    assert_eq!(speaks(&running.secrets).await, Ok(()));
}
