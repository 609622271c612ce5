//! Retries: as the route says, and nobody is charged twice.

use super::harness::*;
use mesh_model::route::{RetryOn, RetryPolicy};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";

fn policy(on: &[RetryOn]) -> RetryPolicy {
    RetryPolicy {
        retry_on: on.to_vec(),
        num_retries: 2,
        retriable_status_codes: vec![503],
        avoid_previous_hosts: true,
        host_selection_attempts: 5,
        back_off_base: Some(Duration::from_millis(1)),
        ..RetryPolicy::default()
    }
}

/// What Istio configures.
fn istio() -> RetryPolicy {
    policy(&[
        RetryOn::ConnectFailure,
        RetryOn::RefusedStream,
        RetryOn::Unavailable,
        RetryOn::Cancelled,
        RetryOn::RetriableStatusCodes,
    ])
}

/// Where a server breaks off.
#[derive(Clone, Copy, Debug)]
enum Break {
    AfterHead,
    AfterRequest,
    InResponseHead,
    ByReset,
    With503,
}

const BREAKS: [Break; 5] = [
    Break::AfterHead,
    Break::AfterRequest,
    Break::InResponseHead,
    Break::ByReset,
    Break::With503,
];

fn breaking(at: Break) -> Script {
    script(async move |mut wire| match at {
        Break::AfterHead => {
            wire.until("\r\n\r\n").await;
        }
        Break::AfterRequest => {
            wire.message().await;
        }
        Break::InResponseHead => {
            wire.message().await;
            wire.send("HTTP/1.1 200 OK\r\ncontent-le").await;
        }
        Break::ByReset => {
            wire.message().await;
            wire.reset();
        }
        Break::With503 => {
            wire.message().await;
            wire.send(UNAVAILABLE).await;
            wire.has_more().await;
        }
    })
}

fn good() -> Script {
    script(async |mut wire| {
        while wire.has_more().await {
            wire.message().await;
            wire.send(OK).await;
        }
    })
}

/// Status that the client gets from a server that breaks at `at` on its first connection, and the connections it saw.
async fn against(at: Break, policy: RetryPolicy, request: &str) -> (String, u32) {
    let server = Server::scripted([breaking(at), good(), good()]).await;
    let setup = Setup::to(&[server.address]).route(|r| r.retry = Some(policy));
    let proxy = setup.start().await;
    let mut client = proxy.connect().await;
    client.send(request).await;
    let response = client.message().await;
    (response[9..12].to_owned(), server.connections())
}

#[test]
fn a_post_that_may_have_been_read_is_never_sent_again() {
    run(async {
        let everything = policy(&RetryOn::ALL);
        for at in BREAKS {
            let (status, connections) = against(at, everything.clone(), POST).await;
            assert_eq!((status.as_str(), connections), ("503", 1), "{at:?}");
        }
    });
}

#[test]
fn what_is_idempotent_is_sent_again_as_the_route_says() {
    run(async {
        for at in BREAKS {
            let everything = policy(&[RetryOn::FiveXx]);
            let (status, connections) = against(at, everything, GET).await;
            assert_eq!((status.as_str(), connections), ("200", 2), "{at:?}");
            let status_only = policy(&[RetryOn::RetriableStatusCodes]);
            let (status, connections) = against(at, status_only, GET).await;
            let want = match at {
                Break::With503 => ("200", 2),
                _ => ("503", 1),
            };
            assert_eq!((status.as_str(), connections), want, "{at:?}");
        }
    });
}

#[test]
fn a_put_is_sent_again_with_its_body() {
    run(async {
        let server = Server::scripted([breaking(Break::With503), good()]).await;
        let setup = Setup::to(&[server.address]).route(|r| r.retry = Some(istio()));
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client
            .send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            .await;
        assert!(client.message().await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_host_that_refuses_is_left_even_by_a_post() {
    run(async {
        let server = Server::answering(OK).await;
        let refusing = nobody().await;
        let setup = Setup::to(&[refusing, server.address]).route(|r| r.retry = Some(istio()));
        let proxy = setup.start().await;
        for _ in 0..20 {
            let mut client = proxy.connect().await;
            client.send(POST).await;
            assert!(client.message().await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(server.requests().len(), 20, "each arrived once");
    });
}

#[test]
fn when_all_retries_are_used_the_last_answer_goes_out() {
    run(async {
        let server = Server::answering(UNAVAILABLE).await;
        let setup = Setup::to(&[server.address]).route(|r| r.retry = Some(istio()));
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client.send(GET).await;
        let response = client.message().await;
        assert!(response.ends_with("\r\n\r\nno"), "{response}");
        let counts: Vec<_> = server
            .requests()
            .iter()
            .filter_map(|r| header(r, "x-envoy-attempt-count").map(str::to_owned))
            .collect();
        assert_eq!(counts, ["1", "2", "3"]);
        let seen = proxy.seen().await;
        assert_eq!(
            (seen.flags.as_str(), seen.details.as_str()),
            ("URX", "via_upstream")
        );
    });
}

#[test]
fn failing_for_good_tells_that_it_was_retried() {
    run(async {
        let setup = Setup::to(&[nobody().await]).route(|r| r.retry = Some(istio()));
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client.send(POST).await;
        let response = client.message().await;
        let body = "retried and the latest reset reason: remote connection failure";
        assert!(response.ends_with(body), "{response}");
        let seen = proxy.seen().await;
        assert_eq!((seen.status, seen.flags.as_str()), (Some(503), "URX,UF"));
        assert!(seen.host.is_some(), "the endpoint that failed");
    });
}

#[test]
fn the_application_may_ask_for_retries() {
    run(async {
        let server = Server::scripted([breaking(Break::With503), good()]).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        client
            .send("GET / HTTP/1.1\r\nhost: a\r\nx-envoy-retry-on: 5xx\r\nx-envoy-max-retries: 3\r\n\r\n")
            .await;
        assert!(client.message().await.starts_with("HTTP/1.1 200"));
        let request = &server.requests()[0];
        assert_eq!(header(request, "x-envoy-retry-on"), None, "{request}");
        assert_eq!(header(request, "x-envoy-max-retries"), None, "{request}");
    });
}

#[test]
fn an_unproven_mark_is_not_believed_and_not_passed_on() {
    run(async {
        let marked = "HTTP/1.1 503 No\r\nx-mesh-unsent: 1\r\ncontent-length: 0\r\n\r\n";
        let server = Server::answering(marked).await;
        let setup = Setup::to(&[server.address]).route(|r| r.retry = Some(istio()));
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client.send(POST).await;
        let response = client.message().await;
        assert_eq!(header(&response, "x-mesh-unsent"), None);
        assert_eq!(server.requests().len(), 1, "anybody can write a header");
    });
}

#[test]
fn only_a_peer_is_told_that_nothing_was_sent() {
    run(async {
        for (setup, told) in [
            (Setup::to(&[nobody().await]).of_a_peer(), true),
            (Setup::to(&[nobody().await]), false),
        ] {
            let proxy = setup.start().await;
            let mut client = proxy.connect().await;
            client.send(POST).await;
            let response = client.message().await;
            assert_eq!(
                header(&response, "x-mesh-unsent").is_some(),
                told,
                "{response}"
            );
        }
    });
}
