//! The conditions, one by one, and what is safe.

use super::*;
use http::{Method, Request};
use mesh_model::cluster::Limits;

fn response(status: u16, grpc_status: Option<u32>) -> Facts<'static> {
    Facts::Response {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: none(),
        grpc_status,
        is_ratelimited: false,
        is_unsent: false,
    }
}

/// No headers.
fn none() -> &'static HeaderMap {
    static NONE: std::sync::OnceLock<HeaderMap> = std::sync::OnceLock::new();
    NONE.get_or_init(HeaderMap::new)
}

fn conditions(facts: Facts<'_>) -> Vec<&'static str> {
    let policy = RetryPolicy {
        retriable_status_codes: vec![418],
        ..RetryPolicy::default()
    };
    RetryOn::ALL
        .into_iter()
        .filter(|on| facts.match_condition(*on, &policy))
        .map(RetryOn::as_str)
        .collect()
}

#[test]
fn each_outcome_meets_its_conditions() {
    let sent = |kind| Failure::sent(kind);
    let unsent = |kind| Failure::unsent(kind);
    use FailureKind::*;
    for (failure, want) in [
        (
            unsent(RemoteConnectionFailure),
            "5xx gateway-error reset reset-before-request connect-failure",
        ),
        (
            unsent(LocalConnectionFailure),
            "5xx gateway-error reset reset-before-request connect-failure",
        ),
        (
            unsent(ConnectionTimeout),
            "5xx gateway-error reset reset-before-request connect-failure",
        ),
        (sent(ConnectionTermination), "5xx gateway-error reset"),
        (
            unsent(ConnectionTermination),
            "5xx gateway-error reset reset-before-request refused-stream",
        ),
        (sent(RemoteReset), "5xx gateway-error reset"),
        (
            unsent(RemoteRefusedStream),
            "5xx gateway-error reset reset-before-request refused-stream",
        ),
        (sent(ProtocolError), "5xx gateway-error reset"),
        (sent(LocalReset), ""),
        (unsent(NoHealthyUpstream), ""),
        (unsent(NoCluster), ""),
        (unsent(Overflow), ""),
    ] {
        assert_eq!(
            conditions(Facts::Failure(&failure)).join(" "),
            want,
            "{failure:?}"
        );
    }
    for (facts, want) in [
        (response(200, None), ""),
        (response(409, None), "retriable-4xx"),
        (response(418, None), "retriable-status-codes"),
        (response(429, None), ""),
        (response(500, None), "5xx"),
        (response(502, None), "5xx gateway-error"),
        (response(503, None), "5xx gateway-error"),
        (response(504, None), "5xx gateway-error"),
        (response(505, None), "5xx"),
        (response(200, Some(0)), ""),
        (response(200, Some(1)), "cancelled"),
        (response(200, Some(4)), "deadline-exceeded"),
        (response(200, Some(8)), "resource-exhausted"),
        (response(200, Some(13)), "internal"),
        (response(200, Some(14)), "unavailable"),
        (Facts::Timeout, "5xx gateway-error reset"),
    ] {
        assert_eq!(conditions(facts).join(" "), want, "{facts:?}");
    }
    let limited = Facts::Response {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: none(),
        grpc_status: None,
        is_ratelimited: true,
        is_unsent: false,
    };
    assert_eq!(conditions(limited), ["envoy-ratelimited"]);
}

#[test]
fn only_what_is_proven_or_told_is_safe_for_every_method() {
    let all = RetryPolicy {
        retry_on: RetryOn::ALL.to_vec(),
        retriable_status_codes: vec![503],
        ..RetryPolicy::default()
    };
    let unsent = Failure::unsent(FailureKind::ConnectionTermination);
    let sent = Failure::sent(FailureKind::ConnectionTermination);
    let marked = Facts::Response {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: none(),
        grpc_status: None,
        is_ratelimited: false,
        is_unsent: true,
    };
    for (facts, safe) in [
        (Facts::Failure(&unsent), true),
        (Facts::Failure(&sent), false),
        (Facts::Timeout, false),
        (response(500, None), false),
        (response(503, None), false),
        (response(504, None), false),
        (marked, true),
        (response(409, None), true),
        (response(200, Some(14)), true),
    ] {
        assert_eq!(facts.are_safe(&all), safe, "{facts:?}");
    }
}

fn retries(
    method: Method,
    policy: Option<&RetryPolicy>,
    headers: &[(&str, &str)],
) -> Retries<'static> {
    let request = headers
        .iter()
        .fold(Request::builder().method(method), |r, (n, v)| {
            r.header(*n, *v)
        });
    let (mut parts, ()) = request.body(()).expect("a request").into_parts();
    let mut route = crate::http::route::tests::forward("/", "c");
    if let mesh_model::route::RouteAction::Forward(forward) = &mut route.action {
        forward.retry = policy.cloned();
    }
    let forward = crate::http::route::tests::compiled(&route);
    let head = crate::http::matching::tests::parts("http://a/");
    let canonical = Canonical {
        authority: http::HeaderValue::from_static("a"),
        path: head.uri.path_and_query().cloned().expect("a path"),
        is_grpc: false,
        upgrade: None,
        expects_continue: false,
    };
    let retries = Retries::take(&mut parts, &canonical, 0, &forward);
    assert!(!parts.headers.contains_key(RETRY_ON), "taken off");
    Retries {
        policy: retries.policy.map(|p| Cow::Owned(p.into_owned())),
        is_idempotent: retries.is_idempotent,
        done: 0,
        permit: None,
    }
}

fn on(conditions: &[RetryOn], num_retries: u32) -> RetryPolicy {
    RetryPolicy {
        retry_on: conditions.to_vec(),
        num_retries,
        ..RetryPolicy::default()
    }
}

fn failed() -> Failure {
    Failure::sent(FailureKind::RemoteReset)
}

#[test]
fn retries_are_counted_and_flagged() {
    let policy = on(&[RetryOn::Reset], 2);
    let mut retries = retries(Method::GET, Some(&policy), &[]);
    let failure = failed();
    let outcome = Outcome::Failure(&failure);
    for _ in 0..2 {
        assert!(matches!(
            retries.decide(outcome, true, None),
            Decision::Again(_)
        ));
    }
    assert!(retries.retried());
    let exhausted = Decision::Stop(ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED);
    assert_eq!(retries.decide(outcome, true, None), exhausted);
}

#[test]
fn what_can_not_be_replayed_is_not() {
    let policy = on(&[RetryOn::Reset], 2);
    let none = Decision::Stop(ResponseFlags::NONE);
    let failure = failed();
    let mut get = retries(Method::GET, Some(&policy), &[]);
    assert_eq!(get.decide(Outcome::Failure(&failure), false, None), none);
    let mut post = retries(Method::POST, Some(&policy), &[]);
    assert_eq!(post.decide(Outcome::Failure(&failure), true, None), none);
    let mut without = retries(Method::GET, None, &[]);
    assert_eq!(without.decide(Outcome::Failure(&failure), true, None), none);
}

#[test]
fn headers_add_to_the_policy() {
    let failure = failed();
    let again = |mut retries: Retries<'_>| {
        matches!(
            retries.decide(Outcome::Failure(&failure), true, None),
            Decision::Again(_)
        )
    };
    let asked = [("x-envoy-retry-on", "connect-failure, reset")];
    assert!(again(retries(Method::GET, None, &asked)));
    let more = [("x-envoy-max-retries", "0")];
    let policy = on(&[RetryOn::Reset], 2);
    assert!(!again(retries(Method::GET, Some(&policy), &more)));
    let unknown = [("x-envoy-retry-on", "whatever")];
    assert!(!again(retries(Method::GET, None, &unknown)));
}

#[test]
fn concurrent_retries_are_limited() {
    use crate::upstream::{cluster::ClusterInfo, cluster::tests::cluster};
    let mut model = cluster("c", &[]);
    model.limits = Limits {
        max_retries: 1,
        ..Limits::UNLIMITED
    };
    let info = ClusterInfo::new(model, &crate::tls::Secrets::default(), None);
    let policy = on(&[RetryOn::Reset], 2);
    let failure = failed();
    let (mut first, mut second) = (
        retries(Method::GET, Some(&policy), &[]),
        retries(Method::GET, Some(&policy), &[]),
    );
    let outcome = Outcome::Failure(&failure);
    assert!(matches!(
        first.decide(outcome, true, Some(&info)),
        Decision::Again(_)
    ));
    let overflow = Decision::Stop(ResponseFlags::UPSTREAM_OVERFLOW);
    assert_eq!(second.decide(outcome, true, Some(&info)), overflow);
    drop(first);
    assert!(matches!(
        second.decide(outcome, true, Some(&info)),
        Decision::Again(_)
    ));
}

#[test]
fn the_back_off_doubles_up_to_its_limit() {
    let policy = on(&[], 0);
    let longest = |done| {
        (0..200)
            .map(|_| back_off(&policy, done))
            .max()
            .expect("some")
    };
    let ms = Duration::from_millis;
    assert!((ms(15)..ms(25)).contains(&longest(0)), "{:?}", longest(0));
    assert!((ms(60)..ms(100)).contains(&longest(2)), "{:?}", longest(2));
    assert!(
        (ms(150)..ms(250)).contains(&longest(30)),
        "{:?}",
        longest(30)
    );
}
