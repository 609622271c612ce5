//! Whether a request is tried again.
//!
//! A route's `retryOn` is executed to the letter, with one exception: a request whose method is not idempotent goes out
//! again after a failure, a timeout or an error status only if it is proven that no application has seen it. Nobody is
//! charged twice. The proofs are a failure that says so (no connection; a stream refused, or beyond a GOAWAY; nothing
//! written, or nothing read) and the mark of an authenticated peer's own reply. Statuses by which an application says that
//! it did nothing or that the call may be repeated (409, `x-envoy-ratelimited`, gRPC's) count as they are.

mod reset; // when a server says to try again

use super::Answer;
use crate::{
    flag::ResponseFlags,
    http::{
        canonical::Canonical,
        grpc,
        header::{
            self, MAX_RETRIES, RATELIMITED, RETRIABLE_HEADER_NAMES, RETRIABLE_STATUS_CODES,
            RETRY_GRPC_ON, RETRY_ON,
        },
        matching::{RequestHead, fields_match},
        route::Forward,
    },
    upstream::{
        breaker::{Permit, Resource},
        cluster::ClusterInfo,
        failure::{Failure, FailureKind},
    },
};
use http::{HeaderMap, HeaderName, StatusCode, request::Parts};
use mesh_model::{
    matcher::HeaderMatch,
    route::{RetryOn, RetryPolicy},
};
use std::{borrow::Cow, time::Duration};

/// Envoy's base interval.
const BACK_OFF_BASE: Duration = Duration::from_millis(25);
/// Envoy's longest interval, in base intervals.
const BACK_OFF_MAX: u32 = 10;

/// How a try went.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// A server answered.
    Answer(&'a Answer),
    /// No server answered.
    Failure(&'a Failure),
    /// The try took too long.
    Timeout,
}

/// What is done about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Another try, after a while.
    Again(Duration),
    /// No other try; with the flag that says why, if it would have been wanted.
    Stop(ResponseFlags),
}

/// The retries of one request.
#[derive(Debug)]
pub(super) struct Retries<'a> {
    policy: Option<Cow<'a, RetryPolicy>>,
    is_idempotent: bool,
    done: u32,
    // For a retry in flight.
    permit: Option<Permit>,
}

/// What of a try's outcome the policy looks at.
#[derive(Clone, Copy, Debug)]
enum Facts<'a> {
    Response {
        status: StatusCode,
        headers: &'a HeaderMap,
        grpc_status: Option<u32>,
        is_ratelimited: bool,
        is_unsent: bool,
    },
    Failure(&'a Failure),
    Timeout,
}

impl<'a> Retries<'a> {
    /// By the route's policy, and what the application beside us asks for. Headers that do are taken off.
    pub(super) fn take(
        parts: &mut Parts,
        canonical: &Canonical,
        random: u64,
        forward: &'a Forward,
    ) -> Self {
        let head = RequestHead {
            host: canonical.host(),
            path: &canonical.path,
            method: &parts.method,
            headers: &parts.headers,
            random,
        };
        let mut wanted = forward.retriable_requests.iter();
        let may = wanted.len() == 0 || wanted.any(|header| header.matches(&head));
        let policy = with_headers(&mut parts.headers, forward.retry.as_ref());
        Self {
            is_idempotent: header::request::is_idempotent(&parts.method),
            policy: policy.filter(|_| may),
            done: 0,
            permit: None,
        }
    }

    /// Whether the request was tried more than once.
    pub(super) fn retried(&self) -> bool {
        self.done > 0
    }

    /// What to do after `outcome`. `replayable`: the body can be sent again.
    pub(super) fn decide(
        &mut self,
        outcome: Outcome<'_>,
        replayable: bool,
        cluster: Option<&ClusterInfo>,
    ) -> Decision {
        self.permit = None;
        let facts = Facts::of(outcome);
        let stop = Decision::Stop(ResponseFlags::NONE);
        let Some(policy) = self.policy.as_deref().filter(|p| facts.are_retriable(p)) else {
            return stop;
        };
        if !replayable || !(self.is_idempotent || facts.are_safe(policy)) {
            return stop;
        }
        if self.done >= policy.num_retries {
            return Decision::Stop(ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED);
        }
        if let Some(cluster) = cluster {
            let limits = &cluster.model.limits;
            self.permit = cluster.breaker.acquire(limits, Resource::Retries);
            if self.permit.is_none() {
                return Decision::Stop(ResponseFlags::UPSTREAM_OVERFLOW);
            }
        }
        let told = match facts {
            Facts::Response { headers, .. } => reset::interval(policy, headers),
            Facts::Failure(_) | Facts::Timeout => None,
        };
        let delay = told.unwrap_or_else(|| back_off(policy, self.done));
        self.done += 1;
        Decision::Again(delay)
    }
}

// Full jitter over an interval that doubles.
fn back_off(policy: &RetryPolicy, done: u32) -> Duration {
    let base = policy.back_off_base.unwrap_or(BACK_OFF_BASE);
    let max = policy
        .back_off_max
        .unwrap_or(base.saturating_mul(BACK_OFF_MAX));
    let interval = base.saturating_mul(1 << done.min(16)).min(max);
    let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(fastrand::u64(..micros.max(1)))
}

impl<'a> Facts<'a> {
    fn of(outcome: Outcome<'a>) -> Self {
        match outcome {
            Outcome::Answer(answer) => {
                let headers = answer.response.headers();
                Self::Response {
                    status: answer.response.status(),
                    headers,
                    grpc_status: grpc::status(headers),
                    is_ratelimited: headers.contains_key(RATELIMITED),
                    is_unsent: answer.is_unsent,
                }
            }
            Outcome::Failure(failure) => Self::Failure(failure),
            Outcome::Timeout => Self::Timeout,
        }
    }

    // What the policy says.
    fn are_retriable(self, policy: &RetryPolicy) -> bool {
        policy
            .retry_on
            .iter()
            .any(|on| self.match_condition(*on, policy))
    }

    // Whether another try can do no harm whatever the method.
    fn are_safe(self, policy: &RetryPolicy) -> bool {
        match self {
            Self::Failure(failure) => failure.unsent,
            Self::Timeout => false,
            Self::Response { is_unsent, .. } => {
                let told = |on: &RetryOn| is_told(*on) && self.match_condition(*on, policy);
                is_unsent || policy.retry_on.iter().any(told)
            }
        }
    }

    fn match_condition(self, on: RetryOn, policy: &RetryPolicy) -> bool {
        match self {
            Self::Failure(failure) => failure_matches(failure, on),
            Self::Timeout => matches!(on, RetryOn::FiveXx | RetryOn::GatewayError | RetryOn::Reset),
            // Envoy: what a rate limit refused is tried again only by the condition that says so.
            Self::Response {
                is_ratelimited: true,
                ..
            } => on == RetryOn::EnvoyRatelimited,
            Self::Response { headers, .. } if on == RetryOn::RetriableHeaders => {
                let mut wanted = policy.retriable_headers.iter();
                wanted.any(|matcher| fields_match(headers, matcher))
            }
            Self::Response {
                status,
                grpc_status,
                ..
            } => response_matches(status, grpc_status, on, policy),
        }
    }
}

// The application itself says that nothing was done, or that the call may be repeated.
fn is_told(on: RetryOn) -> bool {
    matches!(
        on,
        RetryOn::Retriable4xx
            | RetryOn::EnvoyRatelimited
            | RetryOn::Cancelled
            | RetryOn::DeadlineExceeded
            | RetryOn::Internal
            | RetryOn::ResourceExhausted
            | RetryOn::Unavailable
    )
}

fn failure_matches(failure: &Failure, on: RetryOn) -> bool {
    match failure.kind {
        // These are answers of our own, not failures of a host; a broken request is nobody's.
        FailureKind::NoCluster
        | FailureKind::NoHealthyUpstream
        | FailureKind::Overflow
        | FailureKind::LocalReset => return false,
        _ => {}
    }
    match on {
        RetryOn::FiveXx | RetryOn::GatewayError | RetryOn::Reset => true,
        RetryOn::ConnectFailure => failure.kind.is_connect_failure(),
        RetryOn::ResetBeforeRequest => failure.unsent,
        RetryOn::RefusedStream => {
            // A stream beyond a GOAWAY counts as refused.
            let gone = failure.kind == FailureKind::ConnectionTermination && failure.unsent;
            gone || failure.kind == FailureKind::RemoteRefusedStream
        }
        _ => false,
    }
}

fn response_matches(
    status: StatusCode,
    grpc_status: Option<u32>,
    on: RetryOn,
    policy: &RetryPolicy,
) -> bool {
    match on {
        RetryOn::FiveXx => status.is_server_error(),
        RetryOn::GatewayError => matches!(status.as_u16(), 502..=504),
        RetryOn::Retriable4xx => status == StatusCode::CONFLICT,
        RetryOn::RetriableStatusCodes => policy.retriable_status_codes.contains(&status.as_u16()),
        RetryOn::Cancelled => grpc_status == Some(grpc::CANCELLED),
        RetryOn::DeadlineExceeded => grpc_status == Some(grpc::DEADLINE_EXCEEDED),
        RetryOn::Internal => grpc_status == Some(grpc::INTERNAL),
        RetryOn::ResourceExhausted => grpc_status == Some(grpc::RESOURCE_EXHAUSTED),
        RetryOn::Unavailable => grpc_status == Some(grpc::UNAVAILABLE),
        RetryOn::Reset
        | RetryOn::ResetBeforeRequest
        | RetryOn::ConnectFailure
        | RetryOn::RefusedStream
        | RetryOn::RetriableHeaders
        | RetryOn::Http3PostConnectFailure
        | RetryOn::EnvoyRatelimited => false,
    }
}

fn with_headers<'a>(
    headers: &mut HeaderMap,
    policy: Option<&'a RetryPolicy>,
) -> Option<Cow<'a, RetryPolicy>> {
    let take = |headers: &mut HeaderMap, name: HeaderName| {
        let value = headers.remove(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let on = take(headers, RETRY_ON);
    let grpc_on = take(headers, RETRY_GRPC_ON);
    let max = take(headers, MAX_RETRIES).and_then(|max| max.trim().parse().ok());
    let codes = take(headers, RETRIABLE_STATUS_CODES);
    let names = take(headers, RETRIABLE_HEADER_NAMES);
    let more = max.is_some() || codes.is_some() || names.is_some();
    if on.is_none() && grpc_on.is_none() && (policy.is_none() || !more) {
        return policy.map(Cow::Borrowed);
    }
    let mut asked = policy.cloned().unwrap_or(RetryPolicy {
        num_retries: 1,
        ..RetryPolicy::default()
    });
    let words = on.iter().chain(&grpc_on).flat_map(|list| list.split(','));
    asked
        .retry_on
        .extend(words.filter_map(|word| RetryOn::parse(word.trim())));
    let codes = codes.iter().flat_map(|list| list.split(','));
    let codes = codes.filter_map(|code| code.trim().parse::<u16>().ok());
    asked.retriable_status_codes.extend(codes);
    let names = names.iter().flat_map(|list| list.split(','));
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    let present = names.map(|name| HeaderMatch::present(name.to_ascii_lowercase()));
    asked.retriable_headers.extend(present);
    asked.num_retries = max.unwrap_or(asked.num_retries);
    Some(Cow::Owned(asked))
}

#[cfg(test)]
mod tests;
