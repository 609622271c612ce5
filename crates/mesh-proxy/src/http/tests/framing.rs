//! Where a request ends is seen alike on both sides: nothing is smuggled.
//!
//! A raw server counts what arrives. Each case is either refused and closed, or arrives as one request whose framing is
//! ours; what follows it in the client's bytes is a request of its own or nothing.

use super::harness::*;

const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Sends `request` and a plain request after it. Statuses of the responses, and targets of what arrived.
async fn sent(request: &str) -> (Vec<String>, Vec<String>) {
    let server = Server::answering_chunked(OK).await;
    let proxy = Setup::to(&[server.address]).start().await;
    let mut client = proxy.connect().await;
    client.send_some(&format!("{request}{NEXT}")).await;
    let responses = client.rest().await;
    let statuses = responses
        .split("HTTP/1.")
        .skip(1)
        .map(|r| r[2..5].to_owned());
    let target = |r: &String| r.split(' ').nth(1).unwrap_or_default().to_owned();
    (
        statuses.collect(),
        server.requests().iter().map(target).collect(),
    )
}

#[test]
fn ambiguous_requests_are_refused_and_the_connection_ends() {
    run(async {
        for (name, request) in [
            (
                "two lengths",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
            ),
            (
                "a list of lengths",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 6\r\n\r\nabcde",
            ),
            (
                "a signed length",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nabcde",
            ),
            (
                "a negative length",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\nabcde",
            ),
            (
                "a length in hex",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 0x5\r\n\r\nabcde",
            ),
            (
                "too large a length",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\nabcde",
            ),
            (
                "a space before the colon",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length : 5\r\n\r\nabcde",
            ),
            (
                "a folded line",
                "POST /a HTTP/1.1\r\nhost: a\r\nx: 1\r\n content-length: 5\r\n\r\nabcde",
            ),
            (
                "an unknown coding",
                "POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            ),
            (
                "a coding that is not chunked",
                "POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\nabcde",
            ),
            (
                "chunked twice",
                "POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            ),
            (
                "chunked and something",
                "POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n",
            ),
            (
                "a coding in HTTP/1.0",
                "POST /a HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
            (
                "NUL in a value",
                "POST /a HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
            ),
            (
                "CR in a value",
                "POST /a HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n",
            ),
            (
                "an empty name",
                "POST /a HTTP/1.1\r\nhost: a\r\n: b\r\n\r\n",
            ),
            (
                "a name with a space",
                "POST /a HTTP/1.1\r\nhost: a\r\na b: c\r\n\r\n",
            ),
            ("no version", "POST /a\r\nhost: a\r\n\r\n"),
            ("an odd version", "POST /a HTTP/1.2\r\nhost: a\r\n\r\n"),
            (
                "two hosts",
                "POST /a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            ),
        ] {
            let (statuses, targets) = sent(request).await;
            assert_eq!(statuses.len(), 1, "{name}: {statuses:?}");
            assert!(
                statuses[0].starts_with('4') || statuses[0] == "501",
                "{name}: {statuses:?}"
            );
            assert!(targets.is_empty(), "{name}: {targets:?}");
        }
    });
}

#[test]
fn a_body_that_is_not_chunked_as_it_says_ends_the_connection() {
    run(async {
        for (name, body) in [
            ("no number", "x\r\nabc\r\n0\r\n\r\n"),
            ("a signed number", "+3\r\nabc\r\n0\r\n\r\n"),
            (
                "too large a number",
                "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
            ),
            ("a chunk longer than it says", "3\r\nabcd\r\n0\r\n\r\n"),
        ] {
            let request =
                format!("POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}");
            let (statuses, targets) = sent(&request).await;
            assert!(statuses.len() <= 1, "{name}: {statuses:?}");
            assert!(
                !targets.contains(&"/next".to_owned()),
                "{name}: {targets:?}"
            );
        }
    });
}

#[test]
fn odd_but_clear_requests_arrive_as_one() {
    run(async {
        for (name, request) in [
            (
                "plain",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde",
            ),
            (
                "the same length twice",
                "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nabcde",
            ),
            (
                "chunked",
                "POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            ),
            (
                "a chunk extension",
                "POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
            ),
            (
                "an empty line before it",
                "\r\nPOST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde",
            ),
            (
                "a GET with a body",
                "GET /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde",
            ),
        ] {
            let (statuses, targets) = sent(request).await;
            assert_eq!(statuses, ["200", "200"], "{name}");
            assert_eq!(targets, ["/a", "/next"], "{name}");
        }
    });
}

/// What it is coded as wins over the length, which is not passed on, and the connection ends (RFC 9112 §6.3).
#[test]
fn a_length_beside_a_coding_does_not_count() {
    run(async {
        for headers in [
            "content-length: 60\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 60",
        ] {
            let request =
                format!("POST /a HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
            let (statuses, targets) = sent(&request).await;
            assert_eq!(
                (statuses, targets),
                (vec!["200".to_owned()], vec!["/a".to_owned()])
            );
        }
    });
}

/// A response whose body could be read in two ways is not passed on, nor is its connection used again.
#[test]
fn ambiguous_responses_are_refused() {
    run(async {
        for headers in [
            "content-length: 60\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 3",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: gzip",
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
            let server = Server::scripted([script(async move |mut wire| {
                wire.message().await;
                wire.send(&answer).await;
                wire.has_more().await;
            })])
            .await;
            let proxy = Setup::to(&[server.address]).start().await;
            let response = proxy.connect().await.exchange(NEXT).await;
            assert!(
                response.starts_with("HTTP/1.1 502 "),
                "{headers}: {response}"
            );
            let seen = proxy.seen().await;
            assert_eq!(
                (seen.flags.as_str(), seen.details.as_str()),
                (
                    "UPE",
                    "upstream_reset_before_response_started{protocol_error}"
                ),
                "{headers}"
            );
            assert_eq!(proxy.worker.pools.open_connections(), 0, "{headers}");
        }
    });
}
