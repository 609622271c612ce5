//! What the proxy does to headers, of requests and of responses.
//!
//! Names and fixed values are made once. What is hop-by-hop is decided by one list, never by what `Connection` names:
//! else a client could have any header taken off.

pub(super) mod request;
pub(super) mod response;
pub(super) mod xfcc;

use http::{HeaderMap, HeaderName, HeaderValue, header};

macro_rules! names {
    ($($name:ident = $text:literal;)*) => {
        $(pub(super) const $name: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    ATTEMPT_COUNT = "x-envoy-attempt-count";
    DECORATOR_OPERATION = "x-envoy-decorator-operation";
    EXPECTED_TIMEOUT = "x-envoy-expected-rq-timeout-ms";
    FORWARDED_CLIENT_CERT = "x-forwarded-client-cert";
    FORWARDED_FOR = "x-forwarded-for";
    FORWARDED_HOST = "x-forwarded-host";
    FORWARDED_PROTO = "x-forwarded-proto";
    IS_TIMEOUT_RETRY = "x-envoy-is-timeout-retry";
    KEEP_ALIVE = "keep-alive";
    MAX_RETRIES = "x-envoy-max-retries";
    ORIGINAL_HOST = "x-envoy-original-host";
    ORIGINAL_PATH = "x-envoy-original-path";
    ORIGINAL_URL = "x-envoy-original-url";
    PER_TRY_TIMEOUT = "x-envoy-upstream-rq-per-try-timeout-ms";
    PROXY_CONNECTION = "proxy-connection";
    RATELIMITED = "x-envoy-ratelimited";
    REQUEST_ID = "x-request-id";
    RETRIABLE_HEADER_NAMES = "x-envoy-retriable-header-names";
    RETRIABLE_STATUS_CODES = "x-envoy-retriable-status-codes";
    RETRY_GRPC_ON = "x-envoy-retry-grpc-on";
    RETRY_ON = "x-envoy-retry-on";
    SERVICE_TIME = "x-envoy-upstream-service-time";
    UPSTREAM_TIMEOUT = "x-envoy-upstream-rq-timeout-ms";
}

// Takes off what is between two neighbours only.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Whether the body has a coding that we would take off without knowing what it is.
pub(super) fn has_unknown_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

// Puts an upgrade back where it is passed on.
fn set_upgrade(headers: &mut HeaderMap, protocol: &HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol.clone());
}
