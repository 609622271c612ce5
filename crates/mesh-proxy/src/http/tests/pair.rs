//! Two proxies of the mesh: a client's outbound, a server's inbound, mutual TLS between them.

use super::harness::*;
use mesh_model::{
    cluster::{self, Discovery, TransportMatch},
    http::{Alpn, ClientCertDetails, ForwardClientCert, HttpFilter, PeerMetadata},
    matcher::StringMatch,
    name::Direction,
    route::{RetryOn, RetryPolicy},
    secret::{PrivateKey, Secret, SecretValue},
    tls::{CommonTls, DownstreamTls, PeerValidation, TlsVersion, UpstreamTls},
};
use rcgen::{CertificateParams, KeyPair, SanType};
use std::{net::SocketAddr, time::Duration};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
const ID: &str = "spiffe://cluster.local/ns/x/sa/y";

/// Both sides run under one self-signed certificate, which is its own root.
fn secrets() -> Vec<Secret> {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params
        .subject_alt_names
        .push(SanType::URI(ID.try_into().expect("a URI")));
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let certificate = SecretValue::Certificate {
        chain: pem.clone().into_bytes(),
        key: PrivateKey(key.serialize_pem().into_bytes()),
    };
    let roots = SecretValue::Validation {
        trusted_ca: pem.into_bytes(),
    };
    let secret = |(name, value): (&str, SecretValue)| Secret {
        name: name.into(),
        value,
    };
    [("default", certificate), ("ROOTCA", roots)]
        .map(secret)
        .into()
}

fn common(alpn: &[&str], id: &str) -> CommonTls {
    CommonTls {
        min_version: TlsVersion::V1_2,
        max_version: TlsVersion::V1_3,
        cipher_suites: vec![],
        certificate: Some("default".into()),
        validation: Some(PeerValidation {
            trusted_ca: "ROOTCA".into(),
            subject_alt_names: vec![StringMatch::Exact(id.to_owned()).into()],
        }),
        alpn: alpn.iter().map(|p| (*p).to_owned()).collect(),
    }
}

const METADATA: PeerMetadata = PeerMetadata {
    downstream_discovery: false,
    downstream_propagation: false,
    upstream_discovery: true,
    upstream_propagation: true,
};

/// A server's proxy in front of `app`.
fn inbound(app: SocketAddr, secrets: &[Secret]) -> Setup {
    let mut setup = Setup::to(&[app]).manager(|m| {
        m.server_name = "istio-envoy".into();
        m.forward_client_cert = ForwardClientCert::AppendForward(ClientCertDetails {
            subject: true,
            dns: false,
            uri: true,
        });
        let metadata = PeerMetadata {
            downstream_discovery: true,
            downstream_propagation: true,
            ..PeerMetadata::default()
        };
        m.filters = [HttpFilter::PeerMetadata(metadata), HttpFilter::Router]
            .map(Into::into)
            .into();
    });
    setup = setup.cluster(|c| c.http_protocol = cluster::UpstreamHttp::Http1);
    setup.connection.direction = Some(Direction::Inbound);
    setup.secrets = secrets.to_vec();
    setup.tls = Some(DownstreamTls {
        common: common(&["h2", "http/1.1"], ID),
        require_client_certificate: true,
    });
    setup
}

/// A client's proxy that sends to these, over mutual TLS as their metadata says.
fn outbound(servers: &[SocketAddr], secrets: &[Secret], id: &str) -> Setup {
    let transport = cluster::Transport::Tls(Box::new(UpstreamTls {
        common: common(&["istio-peer-exchange", "istio"], id),
        sni: "outbound_.80_._.a".into(),
    }));
    let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let mut setup = Setup::to(servers)
        .cluster(|c| {
            let label = ("tlsMode".to_owned(), "istio".to_owned());
            c.transport_matches = vec![TransportMatch {
                name: "tlsMode-istio".into(),
                labels: vec![label],
                transport,
            }];
            if let Discovery::Static(assignment) = &mut c.discovery {
                for endpoint in &mut assignment.localities[0].endpoints {
                    endpoint.transport_match = vec![("tlsMode".into(), "istio".into())];
                    endpoint.workload = Some("server;x;server;v1;Kubernetes".into());
                }
            }
        })
        .manager(|m| {
            m.filters = [
                HttpFilter::PeerMetadata(METADATA),
                HttpFilter::Alpn(Alpn {
                    http10: list(&["istio-http/1.0", "istio", "http/1.0"]),
                    http11: list(&["istio-http/1.1", "istio", "http/1.1"]),
                    http2: list(&["istio-h2", "istio", "h2"]),
                }),
                HttpFilter::Router,
            ]
            .map(Into::into)
            .into();
        });
    setup.secrets = secrets.to_vec();
    setup
}

#[test]
fn a_request_walks_through_both() {
    run(async {
        let secrets = secrets();
        let app = Server::answering(OK).await;
        let server = inbound(app.address, &secrets).start().await;
        let client = outbound(&[server.address], &secrets, ID).start().await;
        let mut wire = client.connect().await;
        for _ in 0..2 {
            wire.send(GET).await;
            let response = wire.message().await;
            assert!(response.ends_with("\r\n\r\nok"), "{response}");
            assert_eq!(
                header(&response, "server"),
                Some("envoy"),
                "the last to touch it"
            );
            assert_eq!(header(&response, "x-envoy-peer-metadata"), None);
        }
        let request = &app.requests()[0];
        assert_eq!(header(request, "x-envoy-peer-metadata"), None, "{request}");
        assert_eq!(header(request, "x-envoy-peer-metadata-id"), None);
        let xfcc = header(request, "x-forwarded-client-cert").expect("a client's certificate");
        assert!(xfcc.starts_with(&format!("By={ID};Hash=")), "{xfcc}");
        assert!(xfcc.contains(&format!(";URI={ID}")), "{xfcc}");
        assert_eq!(server.worker.pools.open_connections(), 1);
        assert_eq!(client.worker.pools.open_connections(), 1);
        let seen = client.all_seen(4).await;
        assert!(
            seen.iter().all(|s| s.status == Some(200) && s.flags == "-"),
            "{seen:?}"
        );
        assert!(
            seen.iter().all(|s| s.peer.is_some()),
            "both ends were told of the other: {seen:?}"
        );
    });
}

#[test]
fn what_alpn_agrees_on_is_spoken() {
    run(async {
        let secrets = secrets();
        let app = Server::answering(OK).await;
        let server = inbound(app.address, &secrets).start().await;
        let client = outbound(&[server.address], &secrets, ID).start().await;
        // HTTP/1 and HTTP/2 clients do not share connections: each is offered upstream what it speaks.
        client.connect().await.exchange(GET).await;
        let tcp = tokio::net::TcpStream::connect(client.address)
            .await
            .expect("connected");
        let io = hyper_util::rt::TokioIo::new(tcp);
        let builder = hyper::client::conn::http2::Builder::new(crate::http::codec::LocalExec);
        let (mut sender, connection) = builder.handshake(io).await.expect("HTTP/2");
        tokio::task::spawn_local(connection);
        let request = http::Request::get("http://a/").body(crate::http::Body::empty());
        let response = sender
            .send_request(request.expect("a request"))
            .await
            .expect("answered");
        assert_eq!(response.status(), 200);
        assert_eq!(client.worker.pools.open_connections(), 2);
        assert_eq!(app.requests().len(), 2);
    });
}

/// A client speaks HTTP/1.1; between the proxies it is what the cluster says.
#[test]
fn the_clusters_protocol_is_offered_and_spoken() {
    for (protocol, version) in [
        (cluster::UpstreamHttp::Downstream, http::Version::HTTP_11),
        (cluster::UpstreamHttp::Http2, http::Version::HTTP_2),
    ] {
        run(async {
            let secrets = secrets();
            let app = Server::answering(OK).await;
            let server = inbound(app.address, &secrets).start().await;
            let setup = outbound(&[server.address], &secrets, ID);
            let client = setup.cluster(|c| c.http_protocol = protocol).start().await;
            client.connect().await.exchange(GET).await;
            let seen = client.all_seen(2).await;
            let at_the_server = seen.iter().find(|s| s.host == Some(app.address));
            assert_eq!(at_the_server.map(|s| s.version), Some(version), "{seen:?}");
        });
    }
}

#[test]
fn a_server_of_another_name_is_refused() {
    run(async {
        let secrets = secrets();
        let app = Server::answering(OK).await;
        let server = inbound(app.address, &secrets).start().await;
        let other = "spiffe://cluster.local/ns/x/sa/other";
        let client = outbound(&[server.address], &secrets, other).start().await;
        let response = client.connect().await.exchange(GET).await;
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        assert!(!response.contains("TLS_error"), "{response}");
        assert!(app.requests().is_empty());
        let seen = client.seen().await;
        assert_eq!(seen.flags, "UF");
        assert!(seen.details.contains("|TLS_error"), "{}", seen.details);
    });
}

#[test]
fn without_a_certificate_nothing_leaves() {
    run(async {
        let secrets = secrets();
        let app = Server::answering(OK).await;
        let server = inbound(app.address, &secrets).start().await;
        let setup = outbound(&[server.address], &[], ID);
        let client = setup.start().await;
        let response = client.connect().await.exchange(GET).await;
        // The cluster waits for its secrets: to the routes it is not there.
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        assert_eq!(client.seen().await.flags, "NC");
        assert!(app.requests().is_empty());
    });
}

fn istio() -> RetryPolicy {
    RetryPolicy {
        retry_on: vec![RetryOn::ConnectFailure, RetryOn::RetriableStatusCodes],
        num_retries: 2,
        retriable_status_codes: vec![503],
        avoid_previous_hosts: true,
        host_selection_attempts: 5,
        back_off_base: Some(Duration::from_millis(1)),
        ..RetryPolicy::default()
    }
}

/// One of two pods has lost its application: its proxy says that nothing was delivered, and the other pod is asked.
#[test]
fn a_peer_that_delivered_nothing_is_believed() {
    run(async {
        let secrets = secrets();
        let app = Server::answering(OK).await;
        let good = inbound(app.address, &secrets).start().await;
        let lost = inbound(nobody().await, &secrets).start().await;
        let servers = [lost.address, good.address];
        let setup = outbound(&servers, &secrets, ID).route(|r| r.retry = Some(istio()));
        let client = setup.start().await;
        for _ in 0..20 {
            let response = client.connect().await.exchange(POST).await;
            assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
            assert_eq!(header(&response, "x-mesh-unsent"), None);
        }
        assert_eq!(app.requests().len(), 20, "each was delivered once");
    });
}

/// An application can't have its callers repeat themselves: its proxy takes the mark off.
#[test]
fn an_application_can_not_forge_the_mark() {
    run(async {
        let secrets = secrets();
        let forged = "HTTP/1.1 503 No\r\nx-mesh-unsent: 1\r\ncontent-length: 0\r\n\r\n";
        let app = Server::answering(forged).await;
        let server = inbound(app.address, &secrets).start().await;
        let setup = outbound(&[server.address], &secrets, ID).route(|r| r.retry = Some(istio()));
        let client = setup.start().await;
        let response = client.connect().await.exchange(POST).await;
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        assert_eq!(app.requests().len(), 1);
    });
}
