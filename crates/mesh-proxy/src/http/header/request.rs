//! Headers of a request: as it arrives, and as it is sent on.

use super::*;
use crate::{
    connection::Connection,
    http::{
        canonical::{Canonical, list_contains},
        manager::Manager,
    },
    upstream::pool::Protocol,
};
use http::{Method, Request, Uri, Version, request::Parts, uri::Scheme};
use mesh_model::name::Direction;
use std::time::Duration;

/// Cleans and completes the headers of a request that has arrived.
pub(in crate::http) fn arrived(
    headers: &mut HeaderMap,
    connection: &Connection,
    manager: &Manager,
    client_cert: Option<&HeaderValue>,
) {
    let trailers = list_contains(headers, &header::TE, "trailers");
    strip_hop_by_hop(headers);
    headers.remove(header::TE);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if connection.direction != Some(Direction::Outbound) {
        strip_instructions(headers);
    }
    forwarded(headers, connection, manager.use_remote_address);
    xfcc::apply(
        headers,
        &manager.forward_client_cert,
        connection,
        client_cert,
    );
    if manager.generate_request_id && !headers.contains_key(REQUEST_ID) {
        headers.insert(REQUEST_ID, request_id());
    }
}

// What tells a router what to do comes from the application beside it, never from the network.
fn strip_instructions(headers: &mut HeaderMap) {
    for name in [
        UPSTREAM_TIMEOUT,
        PER_TRY_TIMEOUT,
        RETRY_ON,
        RETRY_GRPC_ON,
        MAX_RETRIES,
        RETRIABLE_HEADER_NAMES,
        RETRIABLE_STATUS_CODES,
    ] {
        headers.remove(name);
    }
}

fn forwarded(headers: &mut HeaderMap, connection: &Connection, use_remote_address: bool) {
    if use_remote_address {
        let peer = connection.peer.ip().to_string();
        let before = headers.get(FORWARDED_FOR).and_then(|v| v.to_str().ok());
        let all = before.map_or_else(|| peer.clone(), |before| format!("{before},{peer}"));
        if let Ok(value) = HeaderValue::from_str(&all) {
            headers.insert(FORWARDED_FOR, value);
        }
    }
    if use_remote_address || !headers.contains_key(FORWARDED_PROTO) {
        let scheme = if connection.tls.is_some() {
            "https"
        } else {
            "http"
        };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
}

// A random UUID (RFC 9562, version 4).
fn request_id() -> HeaderValue {
    let random = fastrand::u128(..) & !(0xf << 76) & !(0b11 << 62) | (4 << 76) | (0b10 << 62);
    let mut text = [b'-'; 36];
    let digits = (0..32).rev().map(|i| (random >> (4 * i)) as u8 & 0xf);
    let places = (0..36).filter(|i| ![8, 13, 18, 23].contains(i));
    for (place, digit) in places.zip(digits) {
        text[place] = b"0123456789abcdef"[usize::from(digit)];
    }
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What a try adds to a request's headers.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::http) struct Additions<'a> {
    /// Number of the try, from 1, if it is to be told.
    pub(in crate::http) attempt: Option<u32>,
    /// Whether the try before took too long, if that is to be told.
    pub(in crate::http) after_timeout: Option<bool>,
    /// How long the client waits for it.
    pub(in crate::http) expected_timeout: Option<Duration>,
    /// Name of the operation.
    pub(in crate::http) operation: Option<&'a HeaderValue>,
    /// The request has no body.
    pub(in crate::http) is_bodiless: bool,
}

/// The head of a request to a server that speaks `protocol`.
pub(in crate::http) fn outgoing(
    arrived: &Parts,
    headers: HeaderMap,
    canonical: &Canonical,
    protocol: Protocol,
    additions: Additions<'_>,
) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = arrived.method.clone();
    parts.headers = headers;
    let headers = &mut parts.headers;
    if let Some(attempt) = additions.attempt {
        headers.insert(ATTEMPT_COUNT, HeaderValue::from(attempt));
    }
    if let Some(after_timeout) = additions.after_timeout {
        let told = if after_timeout { "true" } else { "false" };
        headers.insert(IS_TIMEOUT_RETRY, HeaderValue::from_static(told));
    }
    if let Some(timeout) = additions.expected_timeout {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        headers.insert(EXPECTED_TIMEOUT, HeaderValue::from(millis));
    }
    if let Some(operation) = additions.operation {
        headers.insert(DECORATOR_OPERATION, operation.clone());
    }
    match protocol {
        Protocol::Http1 => {
            parts.version = Version::HTTP_11;
            headers.insert(header::HOST, canonical.authority.clone());
            join_cookies(headers);
            if let Some(upgrade) = &canonical.upgrade {
                set_upgrade(headers, upgrade);
            } else if additions.is_bodiless && may_have_body(&parts.method) {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            }
            parts.uri = Uri::from(canonical.path.clone());
        }
        Protocol::Http2 => {
            parts.version = Version::HTTP_2;
            parts.uri = absolute(headers, canonical);
        }
    }
    parts
}

// Methods whose requests say that they have no body, as in Envoy.
fn may_have_body(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::DELETE | Method::CONNECT | Method::TRACE
    )
}

// `:scheme`, `:authority` and `:path`.
fn absolute(headers: &HeaderMap, canonical: &Canonical) -> Uri {
    let https = headers
        .get(FORWARDED_PROTO)
        .is_some_and(|proto| proto.as_bytes() == b"https");
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if https { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = canonical.host().parse().ok();
    uri.path_and_query = Some(canonical.path.clone());
    Uri::from_parts(uri).unwrap_or_else(|_| Uri::from(canonical.path.clone()))
}

// HTTP/2 clients may send a crumb each; HTTP/1 has one header (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let crumbs = headers.get_all(header::COOKIE).iter();
    let all: Vec<&[u8]> = crumbs.map(HeaderValue::as_bytes).collect();
    if let Ok(value) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(header::COOKIE, value);
    }
}

/// Whether a method may be sent twice (RFC 9110 §9.2.2).
pub(in crate::http) fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::manager::tests::{manager, model};
    use http::uri::PathAndQuery;

    fn connection() -> Connection {
        crate::http::downstream::tests::connection(Direction::Outbound)
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn hop_by_hop_headers_go_and_nominated_ones_stay() {
        let mut map = headers(&[
            ("connection", "keep-alive, authorization"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers, gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "TLS/1.0"),
            ("authorization", "secret"),
        ]);
        arrived(&mut map, &connection(), &manager(&model()), None);
        assert_eq!(map["authorization"], "secret");
        assert_eq!(map["te"], "trailers");
        assert_eq!(map["x-forwarded-proto"], "http");
        for gone in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
        ] {
            assert!(!map.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn request_ids_are_made_once() {
        let mut map = HeaderMap::new();
        let manager = manager(&model());
        arrived(&mut map, &connection(), &manager, None);
        let id = map[REQUEST_ID].clone();
        let text = id.to_str().expect("text");
        assert_eq!((text.len(), &text[14..15]), (36, "4"), "{text}");
        assert!("89ab".contains(&text[19..20]), "{text}");
        arrived(&mut map, &connection(), &manager, None);
        assert_eq!(map[REQUEST_ID], id);
    }

    #[test]
    fn instructions_from_the_network_are_taken_off() {
        let instructions = [
            ("x-envoy-retry-on", "5xx"),
            ("x-envoy-upstream-rq-timeout-ms", "1"),
        ];
        for (direction, kept) in [(Direction::Inbound, false), (Direction::Outbound, true)] {
            let mut map = headers(&instructions);
            let connection = crate::http::downstream::tests::connection(direction);
            arrived(&mut map, &connection, &manager(&model()), None);
            assert_eq!(map.contains_key(RETRY_ON), kept, "{direction:?}");
        }
    }

    #[test]
    fn the_remote_address_is_appended_where_it_counts() {
        let mut model = model();
        model.use_remote_address = true;
        let mut map = headers(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
        ]);
        arrived(&mut map, &connection(), &manager(&model), None);
        assert_eq!(map[FORWARDED_FOR], "1.2.3.4,10.0.0.9");
        assert_eq!(map[FORWARDED_PROTO], "http");
    }

    fn outgoing_to(protocol: Protocol, upgrade: Option<&'static str>) -> Parts {
        let canonical = Canonical {
            authority: HeaderValue::from_static("a.test:8080"),
            path: PathAndQuery::from_static("/x?y"),
            is_grpc: false,
            upgrade: upgrade.map(HeaderValue::from_static),
            expects_continue: false,
        };
        let (arrived, ()) = Request::post("/raw/../x?y")
            .body(())
            .expect("a request")
            .into_parts();
        let map = headers(&[("cookie", "a=1"), ("x-forwarded-proto", "https")]);
        let mut map = map;
        map.append("cookie", HeaderValue::from_static("b=2"));
        let additions = Additions {
            attempt: Some(2),
            after_timeout: None,
            expected_timeout: Some(Duration::from_secs(3)),
            operation: Some(&HeaderValue::from_static("op")),
            is_bodiless: false,
        };
        outgoing(&arrived, map, &canonical, protocol, additions)
    }

    #[test]
    fn http1_gets_a_host_and_one_cookie() {
        let parts = outgoing_to(Protocol::Http1, Some("websocket"));
        assert_eq!(
            (parts.method, parts.version),
            (Method::POST, Version::HTTP_11)
        );
        assert_eq!(parts.uri, "/x?y");
        let get = |name: &str| parts.headers[name].to_str().expect("text").to_owned();
        assert_eq!(get("host"), "a.test:8080");
        assert_eq!(get("cookie"), "a=1; b=2");
        assert_eq!(
            (get("connection"), get("upgrade")),
            ("upgrade".into(), "websocket".into())
        );
        assert_eq!(get("x-envoy-attempt-count"), "2");
        assert_eq!(get("x-envoy-expected-rq-timeout-ms"), "3000");
        assert_eq!(get("x-envoy-decorator-operation"), "op");
    }

    #[test]
    fn http2_gets_an_absolute_target() {
        let parts = outgoing_to(Protocol::Http2, None);
        assert_eq!(parts.uri, "https://a.test:8080/x?y");
        assert!(!parts.headers.contains_key("host"));
        assert_eq!(parts.headers.get_all("cookie").iter().count(), 2);
    }
}
