//! Sends a request on: tries, retries, time limits.

mod attempt;
mod limits;
mod mirror;
mod retry;

pub(super) use attempt::{Answer, Flight};

use self::{
    attempt::Attempts,
    limits::{Limits, TryTimeout},
    retry::{Decision, Outcome, Retries},
};
use super::{
    Body,
    body::{Download, Upload},
    canonical::Canonical,
    exchange::{Exchange, Finish},
    filter::{AlpnOverride, OwnMetadata},
    header,
    local_reply::LocalReply,
    route::Forward,
    upgrade,
};
use crate::upstream::failure::{Failure, FailureKind};
use http::{HeaderValue, Response, StatusCode, request::Parts};
use std::{rc::Rc, time::Duration};
use tokio::time::{Instant, sleep};

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) exchange: &'a Rc<Exchange>,
    pub(super) parts: &'a mut Parts,
    pub(super) canonical: &'a Canonical,
    /// `None`: the request has no body.
    pub(super) upload: Option<&'a Rc<Upload>>,
    /// ALPN protocols to offer instead of the transport's own.
    pub(super) alpn: Option<&'a AlpnOverride>,
    /// What an endpoint of the mesh is told of us.
    pub(super) metadata: Option<&'a OwnMetadata>,
    /// Value of `x-envoy-decorator-operation`.
    pub(super) operation: Option<&'a HeaderValue>,
    /// `x-envoy-attempt-count` is set.
    pub(super) tells_attempt: bool,
    /// Tries after the first say whether the one before took too long.
    pub(super) tells_timeouts: bool,
}

/// Sends the request to the route's cluster. An upgrade takes `finish`.
///
/// # Errors
/// The reply, if no server answers.
pub(super) async fn forward(
    asked: Asked<'_>,
    forward: &Forward,
    finish: &mut Option<Finish>,
) -> Result<Response<Body>, LocalReply> {
    let client = upgrade::client(asked.parts, asked.canonical);
    let limits = Limits::take(asked.parts, asked.canonical, forward);
    let retries = Retries::take(asked.parts, asked.canonical, asked.exchange.random, forward);
    mirror::send(&asked, forward, &limits);
    let attempts = Attempts::new(&asked, forward, &limits);
    let mut answer = if limits.are_none() {
        tries(&asked, &attempts, &limits, retries).await?
    } else {
        tokio::select! {
            biased;
            answer = tries(&asked, &attempts, &limits, retries) => answer?,
            reply = limits.expired(asked.upload) => {
                attempts.timed_out();
                return Err(reply);
            }
        }
    };
    attempts.give_cookies(&mut answer);
    if let Some(upload) = asked.upload {
        upload.let_go();
    }
    let exchange = asked.exchange;
    exchange.answered("via_upstream");
    if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (Some(client), Some(finish)) = (client, finish.take()) else {
            let failure = Failure::sent(FailureKind::ProtocolError);
            return Err(LocalReply::upstream(&failure, false));
        };
        return Ok(upgrade::tunnel(client, answer, finish));
    }
    if client.is_some() {
        // The client may already have sent bytes that are not HTTP.
        exchange.close();
    }
    let deadline = limits.deadline(asked.upload);
    Ok(answer.into_response(deadline, limits.per_try_idle()))
}

// Tries until there is an answer to pass on, or no reason to try again.
async fn tries(
    asked: &Asked<'_>,
    attempts: &Attempts<'_>,
    limits: &Limits,
    mut retries: Retries<'_>,
) -> Result<Answer, LocalReply> {
    loop {
        let result = limits.per_try(asked.upload, attempts.next()).await;
        let outcome = match &result {
            Ok(Ok(answer)) => Outcome::Answer(answer),
            Ok(Err(failure)) => Outcome::Failure(failure),
            Err(_) => {
                attempts.timed_out();
                Outcome::Timeout
            }
        };
        let replayable = asked.upload.is_none_or(|upload| upload.can_replay());
        let snapshot = attempts.snapshot();
        let cluster = snapshot.as_ref().and_then(|s| s.as_deref());
        let flag = match retries.decide(outcome, replayable, cluster.map(|c| &*c.info)) {
            Decision::Again(delay) => {
                attempts.goes_on_after(result.is_err());
                if let Ok(Ok(answer)) = result {
                    attempts.give_up(answer);
                }
                sleep(delay).await;
                continue;
            }
            Decision::Stop(flag) => flag,
        };
        asked.exchange.flag(flag);
        return match result {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) if asked.upload.is_some_and(|u| u.is_broken()) => {
                Err(LocalReply::broken_request())
            }
            Ok(Err(failure)) => Err(LocalReply::upstream(&failure, retries.retried())),
            Err(TryTimeout::Whole) => Err(LocalReply::per_try_timeout()),
            Err(TryTimeout::Idle) => Err(LocalReply::per_try_idle_timeout()),
        };
    }
}

impl Answer {
    fn into_response(self, deadline: Option<Instant>, idle: Option<Duration>) -> Response<Body> {
        let Self {
            response,
            lease,
            flight,
            ..
        } = self;
        let (mut parts, incoming) = response.into_parts();
        header::response::arrived(parts.status, &mut parts.headers);
        let download = Download::new(incoming, lease, flight, deadline, idle);
        Response::from_parts(parts, Body::download(download))
    }
}
