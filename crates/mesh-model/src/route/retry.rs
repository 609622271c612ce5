//! When and how a request is tried again.

use crate::matcher::HeaderMatch;
use std::time::Duration;

/// When and how a request is tried again (Envoy `RetryPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Conditions, in the order given.
    pub retry_on: Vec<RetryOn>,
    /// Retries beside the first try.
    pub num_retries: u32,
    /// How long each try may take; `None` or zero: as long as the request.
    pub per_try_timeout: Option<Duration>,
    /// How long nothing may come from the server during a try; `None` or zero: as long as the request.
    pub per_try_idle_timeout: Option<Duration>,
    /// Headers of a response, one of which must match for [`RetryOn::RetriableHeaders`].
    pub retriable_headers: Vec<HeaderMatch>,
    /// Headers of a request, one of which must match, if there are any, for the request to be tried again at all.
    pub retriable_request_headers: Vec<HeaderMatch>,
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
    /// The server may say how long the back-off is.
    pub rate_limited_back_off: Option<RateLimitedBackOff>,
}

/// A back-off of the length that the server says (Envoy `RateLimitedRetryBackOff`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitedBackOff {
    /// Headers of the response that may say it; the first that does counts. Never empty.
    pub headers: Vec<ResetHeader>,
    /// What is longer does not count; `None`: Envoy's 300 s.
    pub max: Option<Duration>,
}

/// A header that says when to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetHeader {
    /// Its name, lower case, such as `retry-after`.
    pub name: String,
    /// What its value is.
    pub format: ResetFormat,
}

/// What the value of a header that says when to try again is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetFormat {
    /// Seconds from now.
    #[default]
    Seconds,
    /// Seconds since 1970.
    UnixTimestamp,
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
    /// A header of [`RetryPolicy::retriable_headers`] matches.
    RetriableHeaders,
    /// `x-envoy-ratelimited` is set.
    EnvoyRatelimited,
    /// A connection of HTTP/3 failed after it was made: never here.
    Http3PostConnectFailure,
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
    pub const ALL: [Self; 16] = [
        Self::FiveXx,
        Self::GatewayError,
        Self::Reset,
        Self::ResetBeforeRequest,
        Self::ConnectFailure,
        Self::Retriable4xx,
        Self::RefusedStream,
        Self::RetriableStatusCodes,
        Self::RetriableHeaders,
        Self::EnvoyRatelimited,
        Self::Http3PostConnectFailure,
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
            Self::RetriableHeaders => "retriable-headers",
            Self::EnvoyRatelimited => "envoy-ratelimited",
            Self::Http3PostConnectFailure => "http3-post-connect-failure",
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

#[cfg(test)]
mod tests {
    use super::RetryOn;

    #[test]
    fn retry_words_round_trip() {
        for on in RetryOn::ALL {
            assert_eq!(RetryOn::parse(on.as_str()), Some(on));
        }
        assert_eq!(RetryOn::parse("sometimes"), None);
    }
}
