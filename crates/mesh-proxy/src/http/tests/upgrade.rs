//! From HTTP to bytes.

use super::harness::*;

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n";
const ACCEPT: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n";

#[test]
fn bytes_pass_both_ways_and_each_way_ends_by_itself() {
    run(async {
        let server = Server::scripted([script(async |mut wire| {
            let request = wire.message().await;
            assert_eq!(header(&request, "upgrade"), Some("websocket"));
            assert_eq!(header(&request, "connection"), Some("upgrade"));
            wire.send(&format!("{ACCEPT}early")).await;
            assert_eq!(wire.rest().await, "ping");
            wire.send(" and late").await;
        })])
        .await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        client.send(ASK).await;
        let response = client.until("\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        assert_eq!(header(&response, "upgrade"), Some("websocket"));
        client.until("early").await;
        client.send("ping").await;
        client.end().await;
        assert_eq!(client.rest().await, " and late");
        let seen = proxy.seen().await;
        assert_eq!((seen.status, seen.bytes), (Some(101), (4, 14)));
        assert_eq!(seen.details, "via_upstream");
    });
}

#[test]
fn a_refused_upgrade_leaves_nothing_behind() {
    run(async {
        let refuse = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        let server = Server::answering(refuse).await;
        let proxy = Setup::to(&[server.address]).start().await;
        // Bytes that a hasty client sends must not be taken for a request.
        let response = proxy
            .ask(&format!("{ASK}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
        assert_eq!(header(&response, "connection"), Some("close"));
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn an_unknown_upgrade_is_ignored() {
    run(async {
        let server = Server::answering(OK).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        client
            .send("GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: TLS/1.0\r\n\r\n")
            .await;
        assert!(client.message().await.starts_with("HTTP/1.1 200"));
        assert_eq!(header(&server.requests()[0], "upgrade"), None);
    });
}

#[test]
fn a_body_waits_for_100_continue() {
    run(async {
        let server = Server::scripted([
            script(async |mut wire| {
                let head = wire.until("\r\n\r\n").await;
                assert_eq!(header(&head, "expect"), Some("100-continue"));
                assert!(!wire.has_more_within(100).await, "the body waits");
                wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
                wire.until("abc").await;
                wire.send(OK).await;
            }),
            script(async |mut wire| {
                wire.until("\r\n\r\n").await;
                wire.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n")
                    .await;
                assert!(!wire.has_more().await, "no body follows");
            }),
        ])
        .await;
        let proxy = Setup::to(&[server.address]).start().await;
        let ask = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
        let mut client = proxy.connect().await;
        client.send(ask).await;
        assert_eq!(
            client.until("\r\n\r\n").await,
            "HTTP/1.1 100 Continue\r\n\r\n"
        );
        client.send("abc").await;
        assert!(client.message().await.starts_with("HTTP/1.1 200"));
        drop(client);
        let mut client = proxy.connect().await;
        // The first connection went with its script.
        client.send(ask).await;
        let response = client.until("\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 417 "), "{response}");
    });
}
