//! Filters: where they stand, what routes change of them, and what they do.

use super::harness::*;
use mesh_model::{
    http::{Abort, AbortStatus, Delay, Fault, HttpFilter, Override, OverrideConfig},
    matcher::{Fraction, FractionOf, HeaderMatch},
};
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const ALL: Fraction = Fraction {
    numerator: 100,
    per: FractionOf::Hundred,
};
const NAME: &str = "envoy.filters.http.fault";

fn abort(status: u16) -> Fault {
    Fault {
        abort: Some(Abort {
            status: AbortStatus::Http(status),
            fraction: ALL,
        }),
        ..Fault::default()
    }
}

/// With a fault filter, and what the only route changes of it.
fn setup(server: &Server, fault: Fault, change: Option<OverrideConfig>) -> Setup {
    let mut setup = Setup::to(&[server.address]).manager(|m| {
        m.filters = [HttpFilter::Fault(fault), HttpFilter::Router]
            .map(Into::into)
            .into();
    });
    setup.routes[0].overrides = change
        .map(|config| Override {
            name: NAME.into(),
            config,
        })
        .into_iter()
        .collect();
    setup
}

#[test]
fn a_route_changes_what_a_filter_does() {
    run(async {
        let server = Server::answering(OK).await;
        for (own, change, status) in [
            (abort(418), None, 418),
            (abort(418), Some(OverrideConfig::On), 418),
            (abort(418), Some(OverrideConfig::Off), 200),
            (abort(418), Some(OverrideConfig::Fault(abort(503))), 503),
            (Fault::default(), None, 200),
            (
                Fault::default(),
                Some(OverrideConfig::Fault(abort(503))),
                503,
            ),
        ] {
            let proxy = setup(&server, own, change.clone()).start().await;
            let mut client = proxy.connect().await;
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let response = client.message().await;
            let line = format!("HTTP/1.1 {status} ");
            assert!(response.starts_with(&line), "{change:?} {response}");
            let seen = proxy.seen().await;
            let flags = if status == 200 { "-" } else { "FI" };
            assert_eq!((seen.status, seen.flags.as_str()), (Some(status), flags));
            assert_eq!(seen.route.as_deref(), Some("to-c"), "known to filters");
        }
    });
}

#[test]
fn a_filter_that_is_off_is_on_where_a_route_says_so() {
    run(async {
        let server = Server::answering(OK).await;
        for (change, status) in [(None, 200), (Some(OverrideConfig::On), 418)] {
            let setup = setup(&server, abort(418), change);
            let setup = setup.manager(|m| m.filters[0].disabled = true);
            let proxy = setup.start().await;
            let mut client = proxy.connect().await;
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let response = client.message().await;
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{response}"
            );
            proxy.seen().await;
        }
    });
}

#[test]
fn filters_answer_where_there_is_no_route() {
    run(async {
        let server = Server::answering(OK).await;
        let mut setup = setup(&server, abort(418), None);
        setup.routes.clear();
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let response = client.message().await;
        assert!(response.starts_with("HTTP/1.1 418 "), "{response}");
        assert!(
            response.ends_with("\r\n\r\nfault filter abort"),
            "{response}"
        );
        assert_eq!(proxy.seen().await.details, "fault_filter_abort");
    });
}

#[test]
fn a_delay_holds_what_it_concerns() {
    run(async {
        let server = Server::answering(OK).await;
        let delay = Duration::from_millis(150);
        let fault = Fault {
            delay: Some(Delay {
                duration: delay,
                fraction: ALL,
            }),
            headers: vec![HeaderMatch::present("x-slow")],
            ..Fault::default()
        };
        let proxy = setup(&server, fault, None).start().await;
        let mut client = proxy.connect().await;
        for (header, held) in [("x-slow: 1\r\n", true), ("", false)] {
            let began = Instant::now();
            client
                .send(&format!("GET / HTTP/1.1\r\nhost: a\r\n{header}\r\n"))
                .await;
            let response = client.message().await;
            assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
            assert_eq!(began.elapsed() >= delay, held);
            let seen = proxy.seen().await;
            assert_eq!(seen.flags, if held { "DI" } else { "-" });
        }
    });
}

#[test]
fn a_grpc_fault_is_told_in_grpcs_terms() {
    run(async {
        let server = Server::answering(OK).await;
        let fault = Fault {
            abort: Some(Abort {
                status: AbortStatus::Grpc(8),
                fraction: ALL,
            }),
            ..Fault::default()
        };
        let proxy = setup(&server, fault, None).start().await;
        for (kind, status, grpc) in [
            ("application/grpc", 200, Some("8")),
            ("text/plain", 429, None),
        ] {
            let mut client = proxy.connect().await;
            client
                .send(&format!(
                    "GET / HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\n\r\n"
                ))
                .await;
            let response = client.message().await;
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{response}"
            );
            assert_eq!(header(&response, "grpc-status"), grpc, "{response}");
            proxy.seen().await;
        }
    });
}
