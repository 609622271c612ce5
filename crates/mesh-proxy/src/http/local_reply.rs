//! Answers that we make ourselves: status, body, flag and details as Envoy has them.
//!
//! A gRPC client gets the same as a gRPC status on a response that has only headers.

use super::{Body, grpc};
use crate::{
    flag::ResponseFlags,
    policy::jwt::Status,
    upstream::failure::{Failure, FailureKind},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::borrow::Cow;

/// Marks a local reply to a request that no application has seen, for the mesh-proxy that asked: it may send the request
/// again whatever its method. Believed only from a peer that proved its identity, and passed on to nobody.
pub(super) const UNSENT: HeaderName = HeaderName::from_static("x-mesh-unsent");

/// Tells that a circuit breaker tripped.
const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");

/// An answer of our own.
#[derive(Clone, Debug)]
pub(super) struct LocalReply {
    status: StatusCode,
    body: Cow<'static, str>,
    flags: ResponseFlags,
    details: Cow<'static, str>,
    // Few have any.
    headers: Option<Box<HeaderMap>>,
    grpc_status: Option<u32>,
    close: bool,
    unsent: bool,
}

impl LocalReply {
    fn new(status: StatusCode, details: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            body: Cow::Borrowed(""),
            flags: ResponseFlags::NONE,
            details: details.into(),
            headers: None,
            grpc_status: None,
            close: false,
            unsent: true,
        }
    }

    fn flag(mut self, flag: ResponseFlags) -> Self {
        self.flags.insert(flag);
        self
    }

    fn text(mut self, body: impl Into<Cow<'static, str>>) -> Self {
        self.body = body.into();
        self
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    // The request is not one that can be trusted to end where it says.
    fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// 400 with these details.
    pub(super) fn bad_request(details: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, details).closing()
    }

    /// No host was named.
    pub(super) fn missing_host() -> Self {
        Self::bad_request("missing_host_header")
    }

    /// The path can't be normalised.
    pub(super) fn invalid_path() -> Self {
        Self::bad_request("path_normalization_failed")
    }

    /// The target is not a path.
    pub(super) fn absolute_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "absolute_path_rejected")
    }

    /// The client is to ask for `path`.
    pub(super) fn redirect(path: &str) -> Self {
        let reply = Self::new(StatusCode::TEMPORARY_REDIRECT, "path_normalization_failed");
        match HeaderValue::from_str(path) {
            Ok(path) => reply.header(header::LOCATION, path),
            Err(_) => reply,
        }
    }

    /// What the route makes of the request's path or host is none.
    pub(super) fn bad_rewrite(what: &str) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self::new(status, format!("{what}_rewrite_failed"))
    }

    /// A page of another origin asks what it may ask; `headers` tell.
    pub(super) fn preflight(headers: HeaderMap) -> Self {
        Self {
            headers: Some(Box::new(headers)),
            ..Self::new(StatusCode::OK, "cors_response")
        }
    }

    /// HTTP/1.0 is not taken.
    pub(super) fn low_version() -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "low_version").closing()
    }

    /// The request has too many headers.
    pub(super) fn too_many_headers() -> Self {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(status, "http1.too_many_headers").closing()
    }

    /// The body is coded in a way that only the next hop is to understand.
    pub(super) fn unknown_coding() -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "http1.invalid_transfer_encoding",
        )
        .closing()
    }

    /// CONNECT is not taken.
    pub(super) fn upgrade_failed() -> Self {
        Self::new(StatusCode::FORBIDDEN, "upgrade_failed").closing()
    }

    /// The route table has not come.
    pub(super) fn no_route_table() -> Self {
        Self::new(StatusCode::NOT_FOUND, "route_configuration_not_found")
            .flag(ResponseFlags::NO_ROUTE_FOUND)
    }

    /// No route takes the request.
    pub(super) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "route_not_found").flag(ResponseFlags::NO_ROUTE_FOUND)
    }

    /// The request, retries included, took too long.
    pub(super) fn timeout() -> Self {
        Self {
            unsent: false,
            ..Self::new(StatusCode::GATEWAY_TIMEOUT, "response_timeout")
        }
        .flag(ResponseFlags::UPSTREAM_REQUEST_TIMEOUT)
        .text("upstream request timeout")
    }

    /// The last try took too long.
    pub(super) fn per_try_timeout() -> Self {
        Self {
            details: Cow::Borrowed("upstream_per_try_timeout"),
            ..Self::timeout()
        }
    }

    /// The server said nothing for too long during the last try.
    pub(super) fn per_try_idle_timeout() -> Self {
        Self {
            details: Cow::Borrowed("upstream_per_try_idle_timeout"),
            ..Self::timeout()
        }
    }

    /// The stream lived for too long; `complete`: the request had come in whole.
    pub(super) fn max_duration(complete: bool) -> Self {
        Self {
            unsent: false,
            grpc_status: Some(grpc::DEADLINE_EXCEEDED),
            ..Self::new(late(complete), "max_duration_timeout")
        }
        .text("downstream duration timeout")
    }

    /// The request broke off, or is not HTTP in its body.
    pub(super) fn broken_request() -> Self {
        Self::bad_request("http1.codec_error").flag(ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR)
    }

    /// A policy forbids it.
    pub(super) fn forbidden(details: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, details).text("RBAC: access denied")
    }

    /// A token is not good, or not there; `uri` is what was asked for, `tells`: the client is told why.
    pub(super) fn bad_token(why: Status, uri: &str, tells: bool) -> Self {
        let status = match why {
            Status::AudienceNotAllowed => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        };
        let text = why.to_string();
        let invalid = match why {
            Status::Missing => "",
            _ => ", error=\"invalid_token\"",
        };
        let challenge = format!("Bearer realm=\"{uri}\"{invalid}");
        let details = format!("jwt_authn_access_denied{{{}}}", without_spaces(&text));
        let reply = Self::new(status, details).text(if tells { text } else { String::new() });
        match HeaderValue::from_str(&challenge) {
            Ok(challenge) => reply.header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => reply,
        }
    }

    /// A route speaks of a requirement that its filter does not have.
    pub(super) fn unknown_requirement(name: &str) -> Self {
        let why = format!("Wrong requirement_name: {name}");
        let details = format!("jwt_authn_access_denied{{{}}}", without_spaces(&why));
        let text = format!("Failed JWT authentication: {why}");
        Self::new(StatusCode::FORBIDDEN, details).text(text)
    }

    /// A fault on purpose.
    pub(super) fn fault(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            // It is meant for the client, not for a proxy that tries again.
            unsent: false,
            ..Self::new(status, "fault_filter_abort")
        }
        .flag(ResponseFlags::FAULT_INJECTED)
        .text("fault filter abort")
    }

    /// A fault on purpose, in gRPC's terms.
    pub(super) fn grpc_fault(status: u32) -> Self {
        Self {
            grpc_status: Some(status),
            ..Self::fault(grpc::to_http(status).as_u16())
        }
    }

    /// The stream was idle for too long; `complete`: the request had come in whole.
    pub(super) fn stream_idle(complete: bool) -> Self {
        Self {
            status: late(complete),
            unsent: false,
            ..Self::new(StatusCode::GATEWAY_TIMEOUT, "stream_idle_timeout")
        }
        .flag(ResponseFlags::STREAM_IDLE_TIMEOUT)
        .text("stream timeout")
    }

    /// The request did not get through; `retried`: more than once.
    pub(super) fn upstream(failure: &Failure, retried: bool) -> Self {
        let reply = match failure.kind {
            FailureKind::NoCluster => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "cluster_not_found")
            }
            FailureKind::NoHealthyUpstream => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_healthy_upstream")
                    .text("no healthy upstream")
            }
            _ => Self::reset(failure, retried),
        };
        let reply = match failure.kind {
            FailureKind::Overflow => reply.header(OVERLOADED, HeaderValue::from_static("true")),
            _ => reply,
        };
        Self {
            unsent: failure.unsent,
            ..reply.flag(failure.kind.flag())
        }
    }

    fn reset(failure: &Failure, retried: bool) -> Self {
        let status = match failure.kind {
            FailureKind::ProtocolError => StatusCode::BAD_GATEWAY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let reason = failure.kind.reason();
        // The client is not told of certificates and addresses; the log is.
        let detail = match &failure.transport {
            Some(transport) => format!("{reason}|{transport}"),
            None => reason.to_owned(),
        };
        let retried = if retried {
            "retried and the latest "
        } else {
            ""
        };
        let details = format!("upstream_reset_before_response_started{{{detail}}}");
        Self::new(status, without_spaces(&details)).text(format!(
            "upstream connect error or disconnect/reset before headers. {retried}reset reason: {reason}"
        ))
    }

    /// Its status, before it is turned into gRPC's terms.
    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether an HTTP/1 connection is to be closed after it.
    pub(super) fn closes(&self) -> bool {
        self.close
    }

    /// Its response flags.
    pub(super) fn flags(&self) -> ResponseFlags {
        self.flags
    }

    /// `%RESPONSE_CODE_DETAILS%`.
    pub(super) fn details(&self) -> Cow<'static, str> {
        self.details.clone()
    }

    /// The response, in gRPC's terms if the client speaks gRPC. `mark`: the client is a peer that may be told that no
    /// application has seen the request.
    pub(super) fn into_response(self, is_grpc: bool, mark: bool) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        if is_grpc {
            let status = (self.grpc_status).unwrap_or_else(|| grpc::from_http(self.status));
            grpc::local_reply(response.headers_mut(), status, &self.body);
        } else {
            *response.status_mut() = self.status;
            let body = match self.body {
                Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
                Cow::Owned(text) => Bytes::from(text),
            };
            content(response.headers_mut(), body.len());
            *response.body_mut() = Body::full(body);
        }
        let headers = response.headers_mut();
        if let Some(own) = self.headers {
            headers.extend(*own);
        }
        if mark && self.unsent && self.status.is_server_error() {
            headers.insert(UNSENT, HeaderValue::from_static("1"));
        }
        response
    }
}

// The codec says what nothing is.
fn content(headers: &mut HeaderMap, length: usize) {
    if length > 0 {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
}

// Who was late: the server, or a client that had not sent all.
fn late(complete: bool) -> StatusCode {
    if complete {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::REQUEST_TIMEOUT
    }
}

// Details are one word, so that a log line can be split at spaces.
fn without_spaces(text: &str) -> String {
    text.replace(char::is_whitespace, "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind) -> Failure {
        Failure::sent(kind)
    }

    #[test]
    fn failures_read_as_in_envoy() {
        let refused = Failure::connecting(
            FailureKind::RemoteConnectionFailure,
            "delayed connect error: Connection refused",
        );
        let start = "upstream connect error or disconnect/reset before headers. ";
        for (reply, status, flags, details, body) in [
            (
                LocalReply::upstream(&failure(FailureKind::NoHealthyUpstream), false),
                503,
                "UH",
                "no_healthy_upstream",
                "no healthy upstream".to_owned(),
            ),
            (
                LocalReply::upstream(&failure(FailureKind::NoCluster), false),
                503,
                "NC",
                "cluster_not_found",
                String::new(),
            ),
            (
                LocalReply::upstream(&failure(FailureKind::ConnectionTermination), false),
                503,
                "UC",
                "upstream_reset_before_response_started{connection_termination}",
                format!("{start}reset reason: connection termination"),
            ),
            (
                LocalReply::upstream(&refused, true),
                503,
                "UF",
                "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
                format!("{start}retried and the latest reset reason: remote connection failure"),
            ),
            (
                LocalReply::upstream(&failure(FailureKind::Overflow), false),
                503,
                "UO",
                "upstream_reset_before_response_started{overflow}",
                format!("{start}reset reason: overflow"),
            ),
            (
                LocalReply::upstream(&failure(FailureKind::ProtocolError), false),
                502,
                "UPE",
                "upstream_reset_before_response_started{protocol_error}",
                format!("{start}reset reason: protocol error"),
            ),
            (
                LocalReply::upstream(&failure(FailureKind::RemoteRefusedStream), false),
                503,
                "UR",
                "upstream_reset_before_response_started{remote_refused_stream_reset}",
                format!("{start}reset reason: remote refused stream reset"),
            ),
            (
                LocalReply::timeout(),
                504,
                "UT",
                "response_timeout",
                "upstream request timeout".to_owned(),
            ),
            (
                LocalReply::no_route(),
                404,
                "NR",
                "route_not_found",
                String::new(),
            ),
            (
                LocalReply::missing_host(),
                400,
                "-",
                "missing_host_header",
                String::new(),
            ),
        ] {
            let got = (
                reply.status().as_u16(),
                reply.flags().to_string(),
                reply.details().into_owned(),
                reply.body.clone().into_owned(),
            );
            assert_eq!(got, (status, flags.to_owned(), details.to_owned(), body));
        }
    }

    #[test]
    fn grpc_clients_get_a_grpc_status() {
        let reply = LocalReply::upstream(&failure(FailureKind::NoHealthyUpstream), false);
        let response = reply.into_response(true, false);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(response.headers()["grpc-message"], "no healthy upstream");
        assert_eq!(response.headers()["content-type"], "application/grpc");
    }

    #[test]
    fn only_unsent_requests_are_marked() {
        let marked = |failure: &Failure, mark| {
            let response = LocalReply::upstream(failure, false).into_response(false, mark);
            response.headers().contains_key(UNSENT)
        };
        let unsent = Failure::unsent(FailureKind::ConnectionTermination);
        assert!(marked(&unsent, true));
        assert!(!marked(&unsent, false));
        assert!(!marked(&failure(FailureKind::ConnectionTermination), true));
    }
}
