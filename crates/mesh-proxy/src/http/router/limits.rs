//! How long a request may take: from its route, and from what the application beside us asks for.

use crate::http::{
    body::Upload,
    canonical::Canonical,
    grpc,
    header::{PER_TRY_TIMEOUT, UPSTREAM_TIMEOUT},
    local_reply::LocalReply,
    route::Forward,
};
use http::{HeaderMap, HeaderName, request::Parts};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep_until, timeout};

/// A try took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TryTimeout {
    /// All of it.
    Whole,
    /// The server said nothing.
    Idle,
}

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    began: Instant,
    /// From the end of the request, retries included.
    request: Option<Duration>,
    per_try: Option<Duration>,
    /// From what last came from the server.
    per_try_idle: Option<Duration>,
    /// From the beginning.
    stream: Option<Duration>,
}

impl Limits {
    /// The limits of a request on the route `forward`. Headers that set them are taken off.
    pub(super) fn take(parts: &mut Parts, canonical: &Canonical, forward: &Forward) -> Self {
        let headers = &mut parts.headers;
        let grpc = canonical.is_grpc.then(|| grpc::timeout(headers)).flatten();
        let route = match forward.max_grpc_timeout {
            Some(cap) if canonical.is_grpc => capped(grpc, cap),
            _ => forward.timeout,
        };
        let policy = forward
            .retry
            .as_ref()
            .and_then(|retry| retry.per_try_timeout);
        let idle = (forward.retry.as_ref()).and_then(|retry| retry.per_try_idle_timeout);
        tell_deadline(headers, forward, grpc);
        let request = take_millis(headers, UPSTREAM_TIMEOUT).unwrap_or(route);
        let per_try = take_millis(headers, PER_TRY_TIMEOUT).unwrap_or(policy);
        let sooner = |t: &Duration| !t.is_zero() && request.is_none_or(|request| *t < request);
        Self {
            began: Instant::now(),
            request: request.filter(|t| !t.is_zero()),
            per_try: per_try.filter(sooner),
            per_try_idle: idle.filter(sooner),
            stream: stream(forward, grpc),
        }
    }

    /// Whether only tries are limited, if anything is.
    pub(super) fn are_none(&self) -> bool {
        self.request.is_none() && self.stream.is_none()
    }

    /// How long nothing may come from a server.
    pub(super) fn per_try_idle(&self) -> Option<Duration> {
        self.per_try_idle
    }

    /// How long the request may take, retries included.
    pub(super) fn request(&self) -> Option<Duration> {
        self.request
    }

    /// What the server is told of how long we wait.
    pub(super) fn expected(&self) -> Option<Duration> {
        let left = self.request?.saturating_sub(self.began.elapsed());
        Some(self.per_try.map_or(left, |per_try| per_try.min(left)))
    }

    /// Runs one try within its limit, which counts from the end of the request.
    pub(super) async fn per_try<T>(
        &self,
        upload: Option<&std::rc::Rc<Upload>>,
        attempt: impl Future<Output = T>,
    ) -> Result<T, TryTimeout> {
        // Until its head has come, the server has said nothing.
        let idle_first = self.per_try_idle < self.per_try || self.per_try.is_none();
        let (limit, timeout_of) = match (self.per_try, self.per_try_idle) {
            (None, None) => return Ok(attempt.await),
            (_, Some(idle)) if idle_first => (idle, TryTimeout::Idle),
            (Some(whole), _) => (whole, TryTimeout::Whole),
            (None, Some(idle)) => (idle, TryTimeout::Idle),
        };
        let Some(upload) = upload.filter(|u| u.completed_at().is_none()) else {
            return timeout(limit, attempt).await.map_err(|_| timeout_of);
        };
        tokio::select! {
            result = attempt => Ok(result),
            () = async {
                upload.completed().await;
                tokio::time::sleep(limit).await;
            } => Err(timeout_of),
        }
    }

    /// Waits for the end of the request's time.
    pub(super) async fn expired(&self, upload: Option<&std::rc::Rc<Upload>>) -> LocalReply {
        let request = async {
            let Some(limit) = self.request else {
                return std::future::pending().await;
            };
            if let Some(upload) = upload {
                upload.completed().await;
            }
            sleep_until(self.complete_at(upload) + limit).await;
        };
        let stream = async {
            match self.stream {
                Some(limit) => sleep_until(self.began + limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = request => LocalReply::timeout(),
            () = stream => LocalReply::max_duration(upload.is_none_or(|u| u.completed_at().is_some())),
        }
    }

    /// When the response must have ended.
    pub(super) fn deadline(&self, upload: Option<&std::rc::Rc<Upload>>) -> Option<Instant> {
        let request = self.request.map(|limit| self.complete_at(upload) + limit);
        let stream = self.stream.map(|limit| self.began + limit);
        request.into_iter().chain(stream).min()
    }

    fn complete_at(&self, upload: Option<&std::rc::Rc<Upload>>) -> Instant {
        upload.and_then(|u| u.completed_at()).unwrap_or(self.began)
    }
}

// A client that sets no deadline gets the cap; a cap of zero is none.
fn capped(asked: Option<Duration>, cap: Duration) -> Option<Duration> {
    if cap.is_zero() {
        return asked;
    }
    Some(asked.map_or(cap, |asked| asked.min(cap)))
}

// What is taken off the client's deadline for the way back, the server is told, too.
fn tell_deadline(headers: &mut HeaderMap, forward: &Forward, grpc: Option<Duration>) {
    let limits = forward.max_stream_duration.as_ref();
    let offset = limits.and_then(|limits| limits.grpc_timeout_header_offset);
    if limits.is_some_and(|limits| limits.grpc_timeout_header_max.is_some())
        && let Some((asked, offset)) = grpc.zip(offset)
        && let millis = earlier(asked, offset).as_millis()
        // More digits there are not.
        && millis < 100_000_000
        && let Ok(value) = format!("{millis}m").parse()
    {
        headers.insert(grpc::TIMEOUT, value);
    }
}

fn earlier(asked: Duration, offset: Duration) -> Duration {
    match asked > offset {
        true => asked - offset,
        false => asked,
    }
}

fn stream(forward: &Forward, grpc: Option<Duration>) -> Option<Duration> {
    let limits = forward.max_stream_duration?;
    let offset = limits.grpc_timeout_header_offset.unwrap_or_default();
    let grpc = grpc.map(|asked| earlier(asked, offset));
    let limit = match (limits.grpc_timeout_header_max, grpc) {
        (Some(cap), Some(asked)) if cap.is_zero() => Some(asked),
        (Some(cap), Some(asked)) => Some(asked.min(cap)),
        _ => limits.max,
    };
    limit.filter(|limit| !limit.is_zero())
}

// `Some(None)`: the header is there, and says that there is no limit.
fn take_millis(headers: &mut HeaderMap, name: HeaderName) -> Option<Option<Duration>> {
    let value = headers.remove(name)?;
    let millis: u64 = value.to_str().ok()?.parse().ok()?;
    Some((millis > 0).then(|| Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::{
            canonical::Rules,
            matching::tests::{head, parts},
            path::PathRules,
            route::{Action, Route, RouteTable},
        },
        upstream::Clusters,
    };
    use http::Request;
    use mesh_model::route::{MaxStreamDuration, RetryPolicy, RouteAction};

    fn limits(
        change: impl Fn(&mut mesh_model::route::Forward),
        headers: &[(&str, &str)],
    ) -> Limits {
        use crate::http::{manager::tests::model, route::tests as routes};
        let mut route = routes::forward("/", "c");
        let RouteAction::Forward(forward) = &mut route.action else {
            unreachable!("a forward")
        };
        change(forward);
        let table = routes::configuration("80", vec![("a", vec!["*"], vec![route])]);
        let table = RouteTable::compile(&table, &Clusters::default()).expect("good formats");
        let found = table.find(&head(&parts("http://a/"))).expect("a route");
        let route: &Route = table.route(found);
        let Action::Forward(forward) = &route.action else {
            unreachable!("a forward")
        };
        let request = headers
            .iter()
            .fold(Request::get("/").header("host", "a"), |r, (n, v)| {
                r.header(*n, *v)
            });
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let rules = Rules {
            path: PathRules::of(&model()),
            accept_http_10: true,
            upgrades: vec![],
        };
        let canonical = Canonical::decide(&mut parts, &rules).map_err(|r| r.status());
        let limits = Limits::take(&mut parts, &canonical.expect("valid"), forward);
        assert!(!parts.headers.contains_key(UPSTREAM_TIMEOUT));
        limits
    }

    const S: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn limits_come_from_the_route_and_the_application() {
        let request = |l: Limits| (l.request, l.per_try);
        let timed = |f: &mut mesh_model::route::Forward| f.timeout = Some(3 * S);
        assert_eq!(request(limits(|_| (), &[])), (None, None));
        assert_eq!(request(limits(timed, &[])), (Some(3 * S), None));
        let asked = [("x-envoy-upstream-rq-timeout-ms", "500")];
        assert_eq!(limits(timed, &asked).request, Some(S / 2));
        let never = [("x-envoy-upstream-rq-timeout-ms", "0")];
        assert_eq!(limits(timed, &never).request, None);

        let tried = |per_try| {
            move |f: &mut mesh_model::route::Forward| {
                f.timeout = Some(3 * S);
                f.retry = Some(RetryPolicy {
                    per_try_timeout: Some(per_try),
                    ..RetryPolicy::default()
                });
            }
        };
        assert_eq!(limits(tried(S), &[]).per_try, Some(S));
        assert_eq!(limits(tried(4 * S), &[]).per_try, None, "never reached");
        assert_eq!(limits(tried(S), &[]).expected(), Some(S));
    }

    #[tokio::test(start_paused = true)]
    async fn grpc_deadlines_count_where_configured() {
        let grpc = [("content-type", "application/grpc"), ("grpc-timeout", "2S")];
        let with = |max| {
            move |f: &mut mesh_model::route::Forward| {
                f.timeout = Some(9 * S);
                f.max_grpc_timeout = max;
            }
        };
        assert_eq!(limits(with(None), &grpc).request, Some(9 * S));
        assert_eq!(limits(with(Some(S)), &grpc).request, Some(S));
        assert_eq!(
            limits(with(Some(Duration::ZERO)), &grpc).request,
            Some(2 * S)
        );
        assert_eq!(limits(with(Some(5 * S)), &grpc[..1]).request, Some(5 * S));
        assert_eq!(
            limits(with(Some(S)), &grpc[1..]).request,
            Some(9 * S),
            "not gRPC"
        );

        let stream = |max, header| {
            move |f: &mut mesh_model::route::Forward| {
                f.max_stream_duration = Some(MaxStreamDuration {
                    max: Some(max),
                    grpc_timeout_header_max: header,
                    grpc_timeout_header_offset: None,
                });
            }
        };
        assert_eq!(limits(stream(S, None), &grpc).stream, Some(S));
        assert_eq!(
            limits(stream(S, Some(Duration::ZERO)), &grpc).stream,
            Some(2 * S)
        );
        assert_eq!(limits(stream(Duration::ZERO, None), &grpc).stream, None);
    }
}
