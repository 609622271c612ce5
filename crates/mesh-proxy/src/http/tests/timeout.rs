//! How long things may take.

use super::harness::*;
use mesh_model::route::{MaxStreamDuration, RetryOn, RetryPolicy};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const S: Duration = Duration::from_secs(1);

/// A server that reads and says nothing.
async fn silent() -> Server {
    let silent = || {
        script(async |mut wire| {
            while wire.has_more().await {
                wire.message().await;
            }
        })
    };
    Server::scripted(std::iter::repeat_with(silent).take(10)).await
}

#[test]
fn a_route_timeout_ends_the_request() {
    run_paused(async {
        let server = silent().await;
        let setup = Setup::to(&[server.address]).route(|r| r.timeout = Some(3 * S));
        let proxy = setup.start().await;
        let began = Instant::now();
        let mut client = proxy.connect().await;
        client.send(GET).await;
        let response = client.message().await;
        assert!(response.starts_with("HTTP/1.1 504 "), "{response}");
        assert!(response.ends_with("upstream request timeout"));
        assert!(
            (3 * S..4 * S).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
        let request = &server.requests()[0];
        assert_eq!(
            header(request, "x-envoy-expected-rq-timeout-ms"),
            Some("3000")
        );
        let seen = proxy.seen().await;
        assert_eq!(
            (seen.flags.as_str(), seen.details.as_str()),
            ("UT", "response_timeout")
        );
        let host = &proxy.shared.clusters.status()[0].hosts[0];
        assert!(
            host.stats.contains(&("rq_timeout", 1, false)),
            "{:?}",
            host.stats
        );
        assert!(
            host.stats.contains(&("rq_active", 0, true)),
            "{:?}",
            host.stats
        );
    });
}

#[test]
fn the_time_counts_from_the_end_of_the_request() {
    run_paused(async {
        let server = Server::answering(OK).await;
        let setup = Setup::to(&[server.address]).route(|r| r.timeout = Some(S));
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\na")
            .await;
        sleep(5 * S).await;
        client.send("bc").await;
        assert!(client.message().await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn each_try_may_have_its_own_limit() {
    run_paused(async {
        let server = silent().await;
        let setup = Setup::to(&[server.address]).route(|r| {
            r.timeout = Some(10 * S);
            r.retry = Some(RetryPolicy {
                retry_on: vec![RetryOn::FiveXx],
                num_retries: 1,
                per_try_timeout: Some(2 * S),
                ..RetryPolicy::default()
            });
        });
        let proxy = setup.start().await;
        let began = Instant::now();
        let mut client = proxy.connect().await;
        client.send(GET).await;
        assert!(client.message().await.starts_with("HTTP/1.1 504 "));
        assert!(
            (4 * S..5 * S).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(server.requests().len(), 2);
        let seen = proxy.seen().await;
        let want = ("URX,UT".to_owned(), "upstream_per_try_timeout".to_owned());
        assert_eq!((seen.flags, seen.details), want);
    });
}

#[test]
fn a_stream_lives_no_longer_than_it_may() {
    run_paused(async {
        let server = silent().await;
        let setup = Setup::to(&[server.address]).route(|r| {
            r.max_stream_duration = Some(MaxStreamDuration {
                max: Some(2 * S),
                grpc_timeout_header_max: None,
                grpc_timeout_header_offset: None,
            });
        });
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client.send(GET).await;
        assert!(client.message().await.starts_with("HTTP/1.1 504 "));
        let seen = proxy.seen().await;
        assert_eq!(
            (seen.flags.as_str(), seen.details.as_str()),
            ("-", "max_duration_timeout")
        );
    });
}

#[test]
fn the_time_counts_for_the_body_too() {
    run_paused(async {
        let server = Server::scripted([script(async |mut wire| {
            wire.message().await;
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
                .await;
            assert!(!wire.has_more().await);
        })])
        .await;
        let setup = Setup::to(&[server.address]).route(|r| r.timeout = Some(3 * S));
        let proxy = setup.start().await;
        let began = Instant::now();
        assert!(proxy.ask(GET).await.ends_with("half"));
        assert!(
            (3 * S..4 * S).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(proxy.seen().await.flags, "UT");
    });
}

#[test]
fn a_connect_that_hangs_times_out() {
    run_paused(async {
        // A socket that is bound and never listens would refuse; one with a full backlog hangs, but not on all kernels.
        // An address of the documentation range is not answered at all: here the clock jumps to the timeout.
        let unreachable = "192.0.2.1:9".parse().expect("an address");
        let proxy = Setup::to(&[unreachable]).start().await;
        let mut client = proxy.connect().await;
        client.send(GET).await;
        let response = client.message().await;
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        assert_eq!(proxy.seen().await.flags, "UF");
    });
}

#[test]
fn a_head_must_come_in_time() {
    run_paused(async {
        let proxy = Setup::to(&[]).start().await;
        let mut client = proxy.connect().await;
        let began = Instant::now();
        client.send("GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
        client.rest().await;
        assert!(
            (10 * S..11 * S).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
    });
}

#[test]
fn bytes_that_trickle_do_not_buy_time() {
    run_paused(async {
        let proxy = Setup::to(&[]).start().await;
        let mut client = proxy.connect().await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
        for i in 0..20 {
            sleep(S).await;
            if i < 9 {
                client.send("y").await;
            }
        }
        client.rest().await;
    });
}

#[test]
fn a_connection_may_be_idle_for_an_hour() {
    run_paused(async {
        let server = Server::answering(OK).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        for _ in 0..3 {
            client.send(GET).await;
            assert!(client.message().await.starts_with("HTTP/1.1 200"));
            sleep(3500 * S).await;
        }
        let began = Instant::now();
        client.rest().await;
        assert!(began.elapsed() < 101 * S, "{:?}", began.elapsed());
    });
}

#[test]
fn what_drains_says_so_and_then_ends() {
    run_paused(async {
        let server = Server::answering(OK).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut busy = proxy.connect().await;
        busy.send(GET).await;
        assert_eq!(header(&busy.message().await, "connection"), None);
        let mut idle = proxy.connect().await;
        idle.send(GET).await;
        idle.message().await;
        proxy.drain.cancel();
        sleep(S).await;
        busy.send(GET).await;
        let response = busy.message().await;
        assert!(
            response.starts_with("HTTP/1.1 200"),
            "a request under way is served"
        );
        assert_eq!(header(&response, "connection"), Some("close"));
        assert_eq!(busy.rest().await, "");
        let began = Instant::now();
        assert_eq!(idle.rest().await, "");
        assert!(began.elapsed() < 6 * S);
    });
}

#[test]
fn a_stream_may_not_be_idle_for_longer_than_configured() {
    run_paused(async {
        let server = Server::scripted([
            script(async |mut wire| {
                wire.message().await;
                assert!(!wire.has_more().await);
            }),
            script(async |mut wire| {
                wire.message().await;
                wire.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
                    .await;
                for _ in 0..5 {
                    sleep(3 * S).await;
                    wire.send("x").await;
                }
                assert!(!wire.has_more().await);
            }),
        ])
        .await;
        let setup = Setup::to(&[server.address]).manager(|m| m.stream_idle_timeout = 4 * S);
        let proxy = setup.start().await;
        let response = proxy.ask(GET).await;
        assert!(response.starts_with("HTTP/1.1 504 "), "{response}");
        assert!(response.ends_with("stream timeout"));
        let seen = proxy.seen().await;
        assert_eq!(
            (seen.flags.as_str(), seen.details.as_str()),
            ("SI", "stream_idle_timeout")
        );

        let began = Instant::now();
        assert!(
            proxy.ask(GET).await.ends_with("\r\n\r\nxxxxx"),
            "it moved, and then stopped"
        );
        assert!(
            (19 * S..20 * S).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(proxy.seen().await.flags, "SI");
    });
}
