//! Route tables (Envoy `RouteConfiguration`).

use crate::{ClusterName, RouteName};
use std::time::Duration;

/// A route configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfiguration {
    /// Its name.
    pub name: RouteName,
    /// Virtual hosts.
    pub virtual_hosts: Vec<VirtualHost>,
    /// A port in the `Host` header plays no part in matching.
    pub ignore_port_in_host_matching: bool,
    /// Largest body of a direct response, in bytes; `None`: Envoy's 4 KiB.
    pub max_direct_response_body_bytes: Option<u32>,
}

/// The routes of some host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualHost {
    /// Its name.
    pub name: String,
    /// Host names: exact, `*.suffix`, `prefix.*` or `*`.
    pub domains: Vec<String>,
    /// Routes; the first that matches wins.
    pub routes: Vec<Route>,
    /// `x-envoy-attempt-count` is set on requests.
    pub include_request_attempt_count: bool,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, as the access log prints it.
    pub name: String,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// What it does with them.
    pub action: RouteAction,
    /// Name of the operation in traces and in `x-envoy-decorator-operation`.
    pub operation: Option<String>,
    /// The object that it was made from, such as
    /// `/apis/networking.istio.io/v1/namespaces/test/virtual-service/nginx` (metadata `istio.config`).
    pub config: Option<String>,
}

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMatch {
    /// The path, without its query.
    pub path: PathMatch,
    /// Letters match in either case.
    pub ignore_case: bool,
}

/// How a path is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Starts with.
    Prefix(String),
    /// Equal.
    Exact(String),
    /// Equal, or starts with it and a slash.
    SeparatedPrefix(String),
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAction {
    /// Sends the request to a cluster.
    Forward(Forward),
    /// Answers by itself.
    DirectResponse(DirectResponse),
}

/// Sends requests to a cluster (Envoy `RouteAction`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where to.
    pub cluster: ClusterName,
    /// How long the whole request may take, retries included; zero: for ever; `None`: Envoy's 15 s.
    pub timeout: Option<Duration>,
    /// Cap on the `grpc-timeout` header; zero: none; `None`: the header is not read (Envoy `max_grpc_timeout`).
    pub max_grpc_timeout: Option<Duration>,
    /// Limits on the stream (Envoy `max_stream_duration`).
    pub max_stream_duration: Option<MaxStreamDuration>,
    /// Retries.
    pub retry: Option<RetryPolicy>,
}

/// Limits on a stream's life; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxStreamDuration {
    /// Longest life.
    pub max: Option<Duration>,
    /// Cap on the `grpc-timeout` header.
    pub grpc_timeout_header_max: Option<Duration>,
}

/// When and how a request is tried again (Envoy `RetryPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Conditions, in the order given.
    pub retry_on: Vec<RetryOn>,
    /// Retries beside the first try.
    pub num_retries: u32,
    /// How long each try may take; `None` or zero: as long as the request.
    pub per_try_timeout: Option<Duration>,
    /// Status codes for [`RetryOn::RetriableStatusCodes`].
    pub retriable_status_codes: Vec<u16>,
    /// A retry avoids the hosts already tried (Envoy `previous_hosts`).
    pub avoid_previous_hosts: bool,
    /// How often another host is picked for that.
    pub host_selection_attempts: u32,
    /// Base interval of the back-off; `None`: Envoy's 25 ms.
    pub back_off_base: Option<Duration>,
    /// Longest back-off; `None`: ten times the base.
    pub back_off_max: Option<Duration>,
}

/// A condition for a retry (Envoy `retry_on`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// Any 5xx, a reset, a connect failure, or a timeout.
    FiveXx,
    /// 502, 503 or 504.
    GatewayError,
    /// The upstream reset the stream, or never answered.
    Reset,
    /// A reset before the request was sent.
    ResetBeforeRequest,
    /// No connection could be made.
    ConnectFailure,
    /// 409.
    Retriable4xx,
    /// The upstream refused the stream (HTTP/2 `REFUSED_STREAM`).
    RefusedStream,
    /// A status of [`RetryPolicy::retriable_status_codes`].
    RetriableStatusCodes,
    /// `x-envoy-ratelimited` is set.
    EnvoyRatelimited,
    /// gRPC status `cancelled`.
    Cancelled,
    /// gRPC status `deadline-exceeded`.
    DeadlineExceeded,
    /// gRPC status `internal`.
    Internal,
    /// gRPC status `resource-exhausted`.
    ResourceExhausted,
    /// gRPC status `unavailable`.
    Unavailable,
}

impl RetryOn {
    /// All conditions.
    pub const ALL: [Self; 14] = [
        Self::FiveXx,
        Self::GatewayError,
        Self::Reset,
        Self::ResetBeforeRequest,
        Self::ConnectFailure,
        Self::Retriable4xx,
        Self::RefusedStream,
        Self::RetriableStatusCodes,
        Self::EnvoyRatelimited,
        Self::Cancelled,
        Self::DeadlineExceeded,
        Self::Internal,
        Self::ResourceExhausted,
        Self::Unavailable,
    ];

    /// Envoy's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FiveXx => "5xx",
            Self::GatewayError => "gateway-error",
            Self::Reset => "reset",
            Self::ResetBeforeRequest => "reset-before-request",
            Self::ConnectFailure => "connect-failure",
            Self::Retriable4xx => "retriable-4xx",
            Self::RefusedStream => "refused-stream",
            Self::RetriableStatusCodes => "retriable-status-codes",
            Self::EnvoyRatelimited => "envoy-ratelimited",
            Self::Cancelled => "cancelled",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Internal => "internal",
            Self::ResourceExhausted => "resource-exhausted",
            Self::Unavailable => "unavailable",
        }
    }

    /// The condition of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|on| on.as_str() == word)
    }
}

/// Answers without an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// HTTP status, 100 to 599.
    pub status: u16,
    /// Body; may be empty.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::RetryOn;

    #[test]
    fn retry_words_round_trip() {
        for on in RetryOn::ALL {
            assert_eq!(RetryOn::parse(on.as_str()), Some(on));
        }
        assert_eq!(RetryOn::parse("http3-post-connect-failure"), None);
    }
}
