//! What the proxy answers by itself.

use super::harness::*;
use mesh_model::route::{DirectResponse, RouteAction};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn what_is_not_there_is_told_as_envoy_tells_it() {
    run(async {
        let no_cluster = || {
            let mut setup = Setup::to(&[]);
            setup.clusters.clear();
            setup
        };
        let no_route = || {
            let mut setup = Setup::to(&[]);
            setup.routes.clear();
            setup
        };
        let no_table = || {
            Setup::to(&[]).manager(|m| {
                m.routes = mesh_model::http::RouteSource::Rds("elsewhere".into());
            })
        };
        for (setup, status, flags, details, body) in [
            (no_cluster(), 503, "NC", "cluster_not_found", ""),
            (no_route(), 404, "NR", "route_not_found", ""),
            (no_table(), 404, "NR", "route_configuration_not_found", ""),
            (
                Setup::to(&[]),
                503,
                "UH",
                "no_healthy_upstream",
                "no healthy upstream",
            ),
        ] {
            let proxy = setup.start().await;
            let mut client = proxy.connect().await;
            client.send(GET).await;
            let response = client.message().await;
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{response}"
            );
            assert!(response.ends_with(&format!("\r\n\r\n{body}")), "{response}");
            assert_eq!(header(&response, "server"), Some("envoy"));
            assert!(header(&response, "date").is_some(), "{response}");
            let seen = proxy.seen().await;
            assert_eq!((seen.status, seen.flags.as_str()), (Some(status), flags));
            assert_eq!(seen.details, details);
            assert_eq!(seen.bytes.1, body.len() as u64);
        }
    });
}

#[test]
fn grpc_gets_grpc() {
    run(async {
        let proxy = Setup::to(&[]).start().await;
        let mut client = proxy.connect().await;
        let post = "POST /a.B/c HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n";
        client.send(post).await;
        let response = client.until("\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert_eq!(header(&response, "grpc-status"), Some("14"));
        assert_eq!(
            header(&response, "grpc-message"),
            Some("no healthy upstream")
        );
        assert_eq!(proxy.seen().await.grpc_status, Some(14));
    });
}

#[test]
fn a_route_may_answer() {
    run(async {
        let mut setup = Setup::to(&[]);
        setup.routes[0].action = RouteAction::DirectResponse(DirectResponse {
            status: 418,
            body: b"teapot".to_vec(),
        });
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client.send(GET).await;
        let response = client.message().await;
        assert!(response.starts_with("HTTP/1.1 418 "), "{response}");
        assert!(response.ends_with("teapot"));
        let seen = proxy.seen().await;
        assert_eq!(
            (seen.details.as_str(), seen.bytes.1),
            ("direct_response", 6)
        );
    });
}

#[test]
fn what_is_not_http_is_refused() {
    run(async {
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "400"),
            ("GET /%00 HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n", "400"),
            (
                "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
                "400",
            ),
            ("CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", "403"),
            ("nonsense\r\n\r\n", "400"),
        ] {
            let server = Server::answering(OK).await;
            let proxy = Setup::to(&[server.address]).start().await;
            let response = proxy.ask(request).await;
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{request:?}: {response:?}"
            );
            assert!(server.requests().is_empty(), "{request:?}");
        }
    });
}

#[test]
fn http_1_0_is_taken_where_it_is_let_in() {
    run(async {
        let server = Server::answering(OK).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let response = proxy.ask("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.0 200 OK"), "{response}");
        assert!(response.ends_with("\r\n\r\nok"));
        let strict = Setup::to(&[server.address]).manager(|m| m.accept_http_10 = false);
        let response = strict
            .start()
            .await
            .ask("GET / HTTP/1.0\r\nhost: a\r\n\r\n")
            .await;
        assert!(response.starts_with("HTTP/1.0 426 "), "{response}");
    });
}

#[test]
fn an_unread_body_does_not_become_the_next_request() {
    run(async {
        let proxy = Setup::to(&[]).start().await;
        let inner = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
        let request = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{inner}",
            inner.len() + 1000
        );
        let mut client = proxy.connect().await;
        client.send(&request).await;
        let response = client.rest().await;
        assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
        assert_eq!(proxy.seen().await.path, "/");
    });
}

#[test]
fn a_client_that_leaves_is_noted() {
    run(async {
        let server = Server::scripted([script(async |mut wire| {
            wire.message().await;
            assert!(!wire.has_more().await, "the request is given up");
        })])
        .await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        client.send(GET).await;
        while server.requests().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        drop(client);
        let seen = proxy.seen().await;
        assert_eq!((seen.status, seen.flags.as_str()), (None, "DC"));
        assert_eq!(seen.details, "downstream_remote_disconnect");
    });
}

#[test]
fn a_response_that_breaks_off_breaks_off() {
    run(async {
        let server = Server::scripted([script(async |mut wire| {
            wire.message().await;
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
                .await;
        })])
        .await;
        let proxy = Setup::to(&[server.address]).start().await;
        let response = proxy.ask(GET).await;
        assert!(response.ends_with("\r\n\r\nhalf"), "{response}");
        let seen = proxy.seen().await;
        assert_eq!((seen.status, seen.flags.as_str()), (Some(200), "UPE"));
        assert_eq!(seen.bytes, (0, 4));
    });
}
