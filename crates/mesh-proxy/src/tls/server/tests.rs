//! What is agreed on by ALPN, between two of our own contexts.

use super::*;
use crate::tls::UpstreamContext;
use bytes::Bytes;
use mesh_model::{
    matcher::StringMatch,
    secret::{PrivateKey, Secret, SecretValue},
    tls::{TlsVersion, UpstreamTls},
};
use rcgen::{CertificateParams, KeyPair, SanType};
use tokio::net::TcpListener;

/// Both sides run under one self-signed certificate, which is its own root.
fn secrets() -> Secrets {
    secrets_with(|_| {})
}

fn secrets_with(change: impl FnOnce(&mut CertificateParams)) -> Secrets {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    let uri = "spiffe://cluster.local/ns/x/sa/y"
        .try_into()
        .expect("a URI");
    params.subject_alt_names.push(SanType::URI(uri));
    change(&mut params);
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let secrets = Secrets::default();
    let certificate = SecretValue::Certificate {
        chain: pem.clone().into_bytes(),
        key: PrivateKey(key.serialize_pem().into_bytes()),
    };
    let roots = SecretValue::Validation {
        trusted_ca: pem.into_bytes(),
    };
    for (name, value) in [("default", certificate), ("ROOTCA", roots)] {
        secrets
            .set(Secret {
                name: name.into(),
                value,
            })
            .expect("a good secret");
    }
    secrets
}

fn common(alpn: &[&str]) -> CommonTls {
    CommonTls {
        min_version: TlsVersion::V1_2,
        max_version: TlsVersion::V1_3,
        cipher_suites: Vec::new(),
        certificate: Some("default".into()),
        validation: Some(PeerValidation {
            trusted_ca: "ROOTCA".into(),
            subject_alt_names: vec![StringMatch::Prefix("spiffe://cluster.local/".into()).into()],
        }),
        alpn: alpn.iter().map(|protocol| (*protocol).into()).collect(),
    }
}

/// What both sides say was agreed on.
async fn agreed(accepted: &[&str], offered: &[&str]) -> [Option<Arc<str>>; 2] {
    let secrets = secrets();
    let server = DownstreamTls {
        common: common(accepted),
        require_client_certificate: true,
    };
    let server = DownstreamContext::new(server, &secrets);
    let client = UpstreamTls {
        common: common(offered),
        sni: "a.example".into(),
    };
    let client = UpstreamContext::new(client, &secrets);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let accept = async {
        let (tcp, _) = listener.accept().await.expect("a connection");
        server
            .accept(Rewind::new(Bytes::new(), tcp), Duration::from_secs(10))
            .await
            .expect("TLS")
    };
    let connect = async {
        let tcp = TcpStream::connect(address).await.expect("a connection");
        client.connect(tcp, None).await.expect("TLS")
    };
    let ((_stream, peer), connected) = tokio::join!(accept, connect);
    [peer.alpn, connected.alpn]
}

#[tokio::test]
async fn what_nobody_speaks_is_not_agreed_on_and_does_no_harm() {
    for (accepted, offered, want) in [
        (
            &["h2", "http/1.1"][..],
            &["istio-http/1.1", "istio", "http/1.1"][..],
            Some("http/1.1"),
        ),
        (&["h2", "http/1.1"], &["http/1.1", "h2"], Some("h2")),
        (&["h2", "http/1.1"], &["istio-http/1.1", "istio-h2"], None),
        (&["istio-peer-exchange", "h2", "http/1.1"], &["istio"], None),
        (&["h2", "http/1.1"], &[], None),
        (&[], &["h2"], None),
    ] {
        let want = want.map(Arc::from);
        assert_eq!(
            agreed(accepted, offered).await,
            [want.clone(), want],
            "{accepted:?} {offered:?}"
        );
    }
}

/// Why each side, server and client, did not get through.
async fn refused(secrets: &Secrets) -> [Option<Error>; 2] {
    let server = DownstreamTls {
        common: common(&[]),
        require_client_certificate: true,
    };
    let server = DownstreamContext::new(server, secrets);
    let client = UpstreamTls {
        common: common(&[]),
        sni: "a.example".into(),
    };
    let client = UpstreamContext::new(client, secrets);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let accept = async {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let tcp = Rewind::new(Bytes::new(), tcp);
        server.accept(tcp, Duration::from_secs(10)).await.err()
    };
    let connect = async {
        let tcp = TcpStream::connect(address).await.expect("a connection");
        client.connect(tcp, None).await.err()
    };
    let (server, client) = tokio::join!(accept, connect);
    [server, client]
}

#[tokio::test]
async fn f19_what_a_clock_refuses_is_told_by_its_reason() {
    let now = std::time::SystemTime::now();
    let hour = Duration::from_secs(3600);
    let over = secrets_with(|params| params.not_after = (now - hour).into());
    let early = secrets_with(|params| params.not_before = (now + hour).into());
    for (secrets, complaint) in [(over, "certificate expired"), (early, "not valid yet")] {
        let [server, client] = refused(&secrets).await;
        let client = client.expect("refused");
        let text = crate::reason::one_line(&client);
        assert!(matches!(client, Error::CertificateTime(_)), "{text}");
        assert!(
            text.starts_with("TLS handshake: cert_time: ") && text.contains(complaint),
            "{text}"
        );
        // It heard of it from the client.
        assert!(
            matches!(server, Some(Error::CertificateTime(_))),
            "{server:?}"
        );
    }
}
