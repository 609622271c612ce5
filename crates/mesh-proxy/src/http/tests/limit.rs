//! What is cut, and what just passes.

use super::harness::*;

fn with_headers(n: usize, size: usize) -> String {
    let value = "v".repeat(size);
    let headers: String = (0..n).map(|i| format!("x-{i}: {value}\r\n")).collect();
    format!("GET / HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
}

#[test]
fn heads_are_limited_in_number_and_size() {
    run(async {
        let server = Server::answering(OK).await;
        let proxy = Setup::to(&[server.address]).start().await;
        for (n, size, status) in [
            (190, 10, "200"),
            (250, 10, "431"),
            (60, 1000, "200"),
            (80, 1000, "431"),
            (1, 1024 * 1024, "431"),
        ] {
            let mut client = proxy.connect().await;
            client.send_some(&with_headers(n, size)).await;
            let response = client.until("\r\n").await;
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{n} {size}: {response}"
            );
        }
    });
}

#[test]
fn large_bodies_pass_both_ways() {
    run(async {
        const SIZE: usize = 3 * 1024 * 1024;
        let server = Server::scripted([script(async |mut wire| {
            let request = wire.message().await;
            let body = request
                .split("\r\n\r\n")
                .nth(1)
                .unwrap_or_default()
                .to_owned();
            wire.send(&format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
            wire.has_more().await;
        })])
        .await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        let body: String = (0..SIZE)
            .map(|i| char::from(b'a' + (i % 23) as u8))
            .collect();
        client
            .send(&format!(
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n{body}"
            ))
            .await;
        let response = client.message().await;
        assert!(response.ends_with(&body));
        assert_eq!(proxy.seen().await.bytes, (SIZE as u64, SIZE as u64));
    });
}

#[test]
fn what_is_cut_is_counted() {
    run(async {
        let proxy = Setup::to(&[]).start().await;
        for request in ["nonsense\r\n\r\n", &with_headers(80, 1000)] {
            let mut client = proxy.connect().await;
            client.send_some(request).await;
            client.rest().await;
        }
        assert_eq!(proxy.counter("http.downstream_cx_protocol_error"), 2);

        let mut client = proxy.connect().await;
        client
            .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await;
        let pings = "\0\0\x08\x06\0\0\0\0\0........".repeat(3000);
        client.send_some(&pings).await;
        client.rest().await;
        assert_eq!(proxy.counter("http.downstream_cx_http2_flood"), 1);
    });
}
