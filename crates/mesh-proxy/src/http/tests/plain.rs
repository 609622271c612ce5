//! A request goes up, its response comes down.

use super::harness::*;
use mesh_model::route::{AppendAction, HeaderAdd, HeaderMutations};

#[test]
fn a_request_and_its_response_pass() {
    run(async {
        let server = Server::answering(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nserver: nginx\r\nconnection: keep-alive\r\n\r\nhello",
        )
        .await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        for _ in 0..3 {
            client
                .send("GET /a/../x?q=1 HTTP/1.1\r\nHost: nginx.test\r\nUser-Agent: t\r\n\r\n")
                .await;
            let response = client.message().await;
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
            assert!(response.ends_with("\r\n\r\nhello"), "{response}");
            assert_eq!(header(&response, "server"), Some("envoy"));
            assert!(header(&response, "x-envoy-upstream-service-time").is_some());
            // Whoever passes on a response without one adds it (RFC 9110 §6.6.1).
            assert!(header(&response, "date").is_some(), "{response}");
        }
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        assert!(
            requests[0].starts_with("GET /x?q=1 HTTP/1.1\r\n"),
            "{}",
            requests[0]
        );
        assert_eq!(header(&requests[0], "host"), Some("nginx.test"));
        assert_eq!(header(&requests[0], "x-forwarded-proto"), Some("http"));
        assert_eq!(header(&requests[0], "x-envoy-attempt-count"), Some("1"));
        assert_eq!(header(&requests[0], "x-request-id").map(str::len), Some(36));
        assert_eq!(
            proxy.worker.pools.open_connections(),
            1,
            "one connection served all"
        );

        let seen = proxy.all_seen(3).await.remove(0);
        assert_eq!((seen.status, seen.flags.as_str()), (Some(200), "-"));
        assert_eq!(seen.details, "via_upstream");
        assert_eq!((seen.path.as_str(), seen.bytes), ("/x?q=1", (0, 5)));
        assert_eq!(seen.route.as_deref(), Some("to-c"));
        assert_eq!(
            (seen.cluster.as_deref(), seen.host),
            (Some("c"), Some(server.address))
        );
    });
}

#[test]
fn routes_change_headers_of_requests_and_responses() {
    run(async {
        let server =
            Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-server: nginx\r\n\r\n")
                .await;
        let add = |name: &str, format: &str| HeaderAdd {
            name: name.into(),
            format: format.into(),
            action: AppendAction::OverwriteIfExistsOrAdd,
            keep_empty: false,
        };
        let mut setup = Setup::to(&[server.address]);
        setup.routes[0].headers = HeaderMutations {
            request_remove: vec!["x-gone".into()],
            request_add: vec![
                add("x-asked", "%REQ(:METHOD)% %REQ(:PATH)% %ROUTE_NAME% 100%%"),
                add("x-absent", "%REQ(X-GONE)%"),
            ],
            response_remove: vec!["x-server".into()],
            response_add: vec![add(
                "x-told",
                "%RESPONSE_CODE% %UPSTREAM_HOST% %REQ(X-ASKED)%",
            )],
        };
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client
            .send("GET /x?y HTTP/1.1\r\nhost: a\r\nx-gone: 1\r\n\r\n")
            .await;
        let response = client.message().await;
        let asked = "GET /x?y to-c 100%";
        let told = format!("200 {} {asked}", server.address);
        assert_eq!(header(&response, "x-told"), Some(&*told), "{response}");
        assert_eq!(header(&response, "x-server"), None);
        let request = server.requests().remove(0);
        assert_eq!(header(&request, "x-asked"), Some(asked), "{request}");
        assert_eq!(header(&request, "x-gone"), None);
        assert_eq!(header(&request, "x-absent"), None);
    });
}
