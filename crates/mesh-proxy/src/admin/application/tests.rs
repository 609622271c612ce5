use super::*;
use crate::tls::provider;
use ::http::{HeaderValue, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use mesh_model::port::RESERVED;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::{convert::Infallible, net::Ipv4Addr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// What a scraper that takes OpenMetrics asks for.
const OPENMETRICS: &str = "application/openmetrics-text";

/// Serves connections one after the other until it is dropped.
struct Server(u16, JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.1.abort();
    }
}

async fn server(tls: Option<TlsAcceptor>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = listener.local_addr().expect("bound").port();
    let serving = tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            assert_eq!(
                peer.ip(),
                Ipv4Addr::new(127, 0, 0, 6),
                "let pass by the capture rules"
            );
            let service = service_fn(|request| async move { Ok::<_, Infallible>(app(&request)) });
            let http = http1::Builder::new();
            match &tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    }
                }
                None => drop(http.serve_connection(TokioIo::new(stream), service).await),
            }
        }
    });
    Server(port, serving)
}

fn app(request: &::http::Request<Incoming>) -> Response<Full<Bytes>> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
            .unwrap_or_default()
    };
    let (status, location, body) = match request.uri().path() {
        "/ok" => (200, "", format!("{} {}", header("host"), header("x-own"))),
        "/broken" => (503, "", "not yet".to_owned()),
        "/moved" => (302, "/broken", String::new()),
        "/away" => (302, "http://elsewhere.example/", String::new()),
        "/loop" => (302, "/loop", String::new()),
        "/either" if header("accept").starts_with(OPENMETRICS) => {
            (200, "", "new 1\n# EOF\n".to_owned())
        }
        "/either" => (200, "", "old 1\n".to_owned()),
        "/metrics" => (200, "", "own_metric 1\n# EOF\n".to_owned()),
        _ => (404, "", String::new()),
    };
    let content_type = match body.starts_with("new") {
        true => "Application/OpenMetrics-Text; version=1.0.0",
        false => "text/plain",
    };
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::LOCATION, location);
    response.body(Full::new(body.into())).expect("valid")
}

fn application(probes: &Value, metrics: &Value) -> Application {
    let variable = |name: &str| match name {
        ISTIO_KUBE_APP_PROBERS => Some(probes.to_string()),
        ISTIO_PROMETHEUS_ANNOTATIONS => Some(metrics.to_string()),
        _ => None,
    };
    Application::new(Ipv4Addr::LOCALHOST.into(), variable).expect("as injection writes it")
}

async fn asked(application: &Application, path: &str) -> (StatusCode, String) {
    use http_body_util::BodyExt;
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_static("10.244.0.73:15020"));
    headers.insert("x-own", HeaderValue::from_static("a"));
    let response = application.probe(path, &headers).await.into_response();
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .expect("whole")
        .to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn the_kubelet_gets_the_applications_answer() {
    let server = server(None).await;
    let port = server.0;
    let get = |path: &str| json!({ "httpGet": { "path": path, "port": port, "scheme": "HTTP" } });
    let host = json!([{ "name": "Host", "value": "own.example" }]);
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a socket")
        .local_addr()
        .expect("bound")
        .port();
    let application = application(
        &json!({
            "/app-health/app/readyz": get("ok"),
            "/app-health/app/livez": get("/broken"),
            "/app-health/app/startupz": get("/moved"),
            "/app-health/b/readyz": get("/away"),
            "/app-health/b/livez": get("/loop"),
            "/app-health/c/readyz": { "tcpSocket": { "port": port } },
            "/app-health/c/livez": { "tcpSocket": { "port": closed } },
            "/app-health/d/readyz": { "httpGet": { "path": "/ok", "port": port, "httpHeaders": host } },
            "/app-health/d/livez": { "exec": {} },
        }),
        &json!({ "scrape": "true", "port": port.to_string() }),
    );
    for (path, status, body) in [
        ("app/readyz", 200, format!("10.244.0.73:{port} a")),
        ("app/livez", 503, "not yet".to_owned()),
        ("app/startupz", 503, "not yet".to_owned()),
        ("b/readyz", 200, String::new()),
        ("b/livez", 200, String::new()),
        ("c/readyz", 200, String::new()),
        ("d/readyz", 200, "own.example a".to_owned()),
    ] {
        let answer = asked(&application, &format!("/app-health/{path}")).await;
        assert_eq!((answer.0.as_u16(), answer.1), (status, body), "{path}");
    }
    let (status, why) = asked(&application, "/app-health/c/livez").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        why.starts_with(&format!("port {closed} of the application: ")),
        "{why}"
    );
    let (status, why) = asked(&application, "/app-health/d/livez").await;
    assert_eq!(
        (status, why.as_str()),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "this kind of probe is not known\n"
        )
    );
    assert_eq!(
        asked(&application, "/app-health/x/readyz").await.0,
        StatusCode::NOT_FOUND
    );
    let pages = application.metrics(PROBE, &HeaderMap::new()).await;
    assert_eq!(pages.texts, ["own_metric 1\n# EOF\n"]);
}

#[tokio::test]
async fn https_is_asked_whatever_its_certificate() {
    let own = rcgen::generate_simple_self_signed(vec!["app".to_owned()]).expect("a certificate");
    let (pem, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    let server = server(Some(Arc::new(config).into())).await;
    let get = json!({ "path": "/broken", "port": server.0, "scheme": "HTTPS" });
    let application = application(
        &json!({ "/app-health/app/readyz": { "httpGet": get } }),
        &json!({}),
    );
    let answer = asked(&application, "/app-health/app/readyz").await;
    assert_eq!(
        answer,
        (StatusCode::SERVICE_UNAVAILABLE, "not yet".to_owned())
    );
}

#[tokio::test]
async fn silence_ends_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = silent.local_addr().expect("bound").port();
    let get = json!({ "path": "/", "port": port });
    let application = application(
        &json!({ "/app-health/app/readyz": { "httpGet": get, "timeoutSeconds": 1 } }),
        &json!({}),
    );
    let (status, why) = asked(&application, "/app-health/app/readyz").await;
    assert_eq!(
        (status, why.as_str()),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the application did not answer within 1s\n"
        )
    );
}

#[tokio::test]
async fn grpc_services_are_asked_for_their_health() {
    use hyper::server::conn::http2;
    use hyper_util::rt::TokioExecutor;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = listener.local_addr().expect("bound").port();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: ::http::Request<Incoming>| async {
                use http_body_util::BodyExt;
                let body = request
                    .into_body()
                    .collect()
                    .await
                    .expect("whole")
                    .to_bytes();
                // After the prefix: field 1, length, the name.
                let reply: &[u8] = match body.get(7..) {
                    Some(b"up") => &[0, 0, 0, 0, 2, 8, 1],
                    Some(b"down") => &[0, 0, 0, 0, 2, 8, 2],
                    _ => &[],
                };
                let response = Response::builder()
                    .header("grpc-status", "5")
                    .header("grpc-message", "unknown");
                Ok::<_, Infallible>(
                    response
                        .body(Full::new(Bytes::from_static(reply)))
                        .expect("valid"),
                )
            });
            let connection = http2::Builder::new(TokioExecutor::new());
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    });
    let check = |service: Value| json!({ "grpc": { "port": port, "service": service } });
    let probes = json!({ "/up": check("up".into()), "/down": check("down".into()), "/none": check(Value::Null) });
    let application = application(&probes, &json!({}));
    assert_eq!(asked(&application, "/up").await.0, StatusCode::OK);
    for (path, why) in [("/down", "status 2"), ("/none", "grpc-status 5 unknown")] {
        let answer = asked(&application, path).await;
        assert_eq!(answer.0, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.1, format!("the application is not serving: {why}\n"));
    }
    serving.abort();
}

#[test]
fn what_injection_would_not_write_is_refused() {
    for (name, text) in [
        (ISTIO_KUBE_APP_PROBERS, "{"),
        (ISTIO_KUBE_APP_PROBERS, "[1]"),
        (
            ISTIO_KUBE_APP_PROBERS,
            r#"{"/app-health/a/readyz":{"httpGet":{"port":65536}}}"#,
        ),
        (
            ISTIO_KUBE_APP_PROBERS,
            r#"{"/app-health/a/readyz":{"tcpSocket":{"port":"http"}}}"#,
        ),
        (
            ISTIO_KUBE_APP_PROBERS,
            r#"{"/app-health/a/readyz":{"timeoutSeconds":-1}}"#,
        ),
        (ISTIO_PROMETHEUS_ANNOTATIONS, r#"{"port":15020}"#),
    ] {
        let variable = |asked: &str| (name == asked).then(|| text.to_owned());
        let refused = Application::new(Ipv4Addr::LOCALHOST.into(), variable);
        let refused = refused.expect_err(text).to_string();
        assert!(refused.starts_with(name), "{refused}");
    }
}

/// A path or a header that would break out of the request is an answer, not a request and not a panic.
#[tokio::test]
async fn a_probe_that_would_break_out_of_its_request_is_answered() {
    let server = server(None).await;
    let get = |path: &str| json!({ "httpGet": { "path": path, "port": server.0 } });
    let host = json!([{ "name": "Host", "value": "a\r\nx: y" }]);
    let application = application(
        &json!({
            "/app-health/a/readyz": get("/ok HTTP/1.1\r\nhost: x"),
            "/app-health/a/livez": { "httpGet": { "path": "/ok", "port": server.0, "httpHeaders": host } },
        }),
        &json!({}),
    );
    let (status, why) = asked(&application, "/app-health/a/readyz").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(why.contains("can't be asked for"), "{why:?}");
    let answer = asked(&application, "/app-health/a/livez").await;
    assert_eq!(answer, (StatusCode::OK, "localhost a".to_owned()));
}

/// A scrape that came back to the proxy would never end.
#[tokio::test]
async fn the_proxys_own_ports_are_no_application() {
    for port in RESERVED {
        let metrics = json!({ "scrape": "true", "port": port.to_string() });
        let application = application(&json!({}), &metrics);
        assert!(application.places.is_empty(), "{port} would be asked");
        let targets = json!({ "targets": [{ "port": port.to_string(), "path": "/metrics" }] });
        let application = self::application(&json!({}), &targets);
        assert!(application.places.is_empty(), "{port} would be asked");
    }
}

/// What the application does wrong costs its own part, in time.
#[tokio::test]
async fn metrics_of_a_bad_application_are_left_out() {
    let endless = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = endless.local_addr().expect("bound").port();
    let serving = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = endless.accept().await {
            let head = b"HTTP/1.1 200 OK\r\n\r\n";
            let mut written = stream.write_all(head).await;
            let line = vec![b'a'; 1 << 20];
            while written.is_ok() {
                written = stream.write_all(&line).await;
            }
        }
    });
    let scrape = |port: u16, path: &str| {
        let metrics = json!({ "scrape": "true", "port": port.to_string(), "path": path });
        application(&json!({}), &metrics)
    };
    let patience = Duration::from_secs(20);
    let none = async |application: Application, patience| {
        let pages = application.metrics(patience, &HeaderMap::new()).await;
        assert_eq!(
            (pages, application.scrape_failures()),
            (Pages::default(), 1)
        );
    };
    none(scrape(port, "/metrics"), patience).await;
    serving.abort();
    let server = server(None).await;
    none(scrape(server.0, "/broken"), patience).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = silent.local_addr().expect("bound").port();
    let short = Duration::from_millis(100);
    none(scrape(port, "/metrics"), short).await;
}

#[test]
fn only_a_port_that_is_absent_is_the_usual_one() {
    let ports = |metrics: Value| {
        let places = application(&json!({}), &metrics).places;
        places.iter().map(|place| place.port).collect::<Vec<_>>()
    };
    assert_eq!(ports(json!({ "path": "/m" })), [80]);
    assert_eq!(ports(json!({ "port": " 81 " })), [81]);
    assert!(ports(json!({ "port": "web" })).is_empty());
    assert!(ports(json!({ "scrape": "false", "port": "81" })).is_empty());
}

/// Several places are asked at once, and all in one form.
#[tokio::test]
async fn pages_are_openmetrics_if_all_of_them_are() {
    let (one, other) = (server(None).await, server(None).await);
    let pages = async |paths: [&str; 2], accept: &str| {
        let target = |port: u16, path: &str| json!({ "port": port.to_string(), "path": path });
        let targets = json!([target(one.0, paths[0]), target(other.0, paths[1])]);
        let application = application(&json!({}), &json!({ "targets": targets }));
        let accept = HeaderValue::from_str(accept).expect("a value");
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept)]);
        let pages = application.metrics(Duration::from_secs(20), &headers).await;
        let texts = pages.texts.iter();
        let texts = texts.map(|text| String::from_utf8_lossy(text).trim_end().to_owned());
        (pages.are_openmetrics, texts.collect::<Vec<_>>())
    };
    let both = "application/openmetrics-text;version=1.0.0,*/*;q=0.1";
    let owned = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
    let newer = owned(["new 1\n# EOF", "new 1\n# EOF"]);
    let older = owned(["old 1", "own_metric 1\n# EOF"]);
    assert_eq!(pages(["/either", "/either"], both).await, (true, newer));
    assert_eq!(
        pages(["/either", "/metrics"], both).await,
        (false, older.clone())
    );
    assert_eq!(
        pages(["/either", "/metrics"], "text/plain").await,
        (false, older)
    );
    let missing = pages(["/broken", "/either"], both).await;
    assert_eq!(missing, (true, vec!["new 1\n# EOF".to_owned()]));
}
