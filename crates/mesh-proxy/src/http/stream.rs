//! The story of one request.

use super::{
    Body,
    body::Upload,
    canonical::Canonical,
    downstream::Downstream,
    exchange::{Exchange, Finish},
    filter::{Ask, Choices},
    grpc, header,
    local_reply::LocalReply,
    manager::Table,
    matching::RequestHead,
    route::{
        Action, DirectResponse, Followed, InternalRedirects, Redirect, Route, RouteTable, Step,
        becomes_get, is_https, same_place,
    },
    router,
};
use crate::telemetry::substitution::Template;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, request::Parts};
use hyper::body::Incoming;
use mesh_model::name::Direction;
use std::{convert::Infallible, rc::Rc, sync::Arc};

/// Answers a request: by its route's cluster, by its route, or by ourselves.
pub(super) async fn answer(
    downstream: Rc<Downstream>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (parts, incoming) = request.into_parts();
    let exchange = Exchange::begin(downstream, &parts);
    // An upgrade takes it; else it goes with the response's body.
    let mut finish = Some(Finish::new(Rc::clone(&exchange)));
    let mut head = Head {
        parts,
        exchange: &exchange,
    };
    let asking = ask(&exchange, &mut head.parts, incoming, &mut finish);
    let answered = tokio::select! {
        biased;
        answered = asking => answered,
        () = exchange.idle() => Err(LocalReply::stream_idle(exchange.is_complete())),
    };
    let mut response = answered.unwrap_or_else(|reply| {
        exchange.replied(&reply);
        if reply.closes() {
            exchange.close();
        }
        let response = reply.into_response(exchange.is_grpc(), exchange.downstream.is_peer);
        as_wanted(&exchange, response)
    });
    drop(head);
    depart(&exchange, &mut response);
    Ok(match finish {
        Some(finish) => response.map(|body| body.finishing(finish)),
        None => response,
    })
}

/// The request's head. However its story ends, the headers go into the record: tries send copies.
struct Head<'a> {
    parts: Parts,
    exchange: &'a Exchange,
}

impl Drop for Head<'_> {
    fn drop(&mut self) {
        self.exchange.keep(std::mem::take(&mut self.parts.headers));
    }
}

// From the request's arrival to its answer. A redirect that is followed here is one more pass.
async fn ask(
    exchange: &Rc<Exchange>,
    parts: &mut Parts,
    incoming: Incoming,
    finish: &mut Option<Finish>,
) -> Result<Response<Body>, LocalReply> {
    let Downstream {
        connection,
        manager,
        client_cert,
        ..
    } = &*exchange.downstream;
    let canonical = Canonical::decide(parts, &manager.rules)?;
    exchange.decided(&canonical);
    header::request::arrived(
        &mut parts.headers,
        connection,
        manager,
        client_cert.as_ref(),
    );
    let table = exchange.downstream.table();
    let mut pass = Pass {
        exchange,
        parts,
        canonical,
        table,
        body: Upcoming::New(incoming),
        followed: Followed::default(),
    };
    loop {
        if let Some(response) = pass.go(finish).await? {
            return Ok(response);
        }
    }
}

/// A request on its way to one place.
struct Pass<'a> {
    exchange: &'a Rc<Exchange>,
    parts: &'a mut Parts,
    canonical: Canonical,
    table: Table,
    body: Upcoming,
    followed: Followed,
}

/// The request's body.
enum Upcoming {
    /// Nobody has asked for it.
    New(Incoming),
    /// It is, or was, on its way; `None`: there is none.
    Known(Option<Rc<Upload>>),
}

impl Pass<'_> {
    /// The answer; `None`: it is a redirect that is followed, and the next pass goes there.
    async fn go(
        &mut self,
        finish: &mut Option<Finish>,
    ) -> Result<Option<Response<Body>>, LocalReply> {
        let exchange = self.exchange;
        let table = self.table.clone();
        let routes = table.get();
        let found = routes.and_then(|r| find(r, exchange, self.parts, &self.canonical));
        let route = routes.zip(found).map(|(routes, found)| routes.route(found));
        if let Some(found) = found {
            exchange.routed(&table, found);
        }
        if let Some(limit) = route.and_then(Route::idle_timeout) {
            exchange.limit_idleness((!limit.is_zero()).then_some(limit));
        }
        let mut ask = Ask {
            exchange,
            parts: self.parts,
            canonical: &self.canonical,
            overrides: route.and_then(|route| route.overrides.as_deref()),
            choices: Choices::default(),
        };
        for filter in &exchange.downstream.manager.filters {
            let verdict = filter.request(&mut ask).settled().await;
            verdict.inspect_err(|_| stopped(exchange, route))?;
        }
        let Ask { parts, choices, .. } = ask;
        let changed = choices.path.map(|path| Canonical {
            path,
            ..self.canonical.clone()
        });
        if let Some(changed) = &changed {
            // The log must not tell what was taken off, such as a token.
            exchange.rewritten(changed);
        }
        let canonical = changed.as_ref().unwrap_or(&self.canonical);

        let routes = routes.ok_or_else(LocalReply::no_route_table)?;
        let (found, route) = found.zip(route).ok_or_else(LocalReply::no_route)?;
        let forward = match &route.action {
            Action::Direct(direct) => {
                let response = answer_directly(exchange, direct, canonical, &parts.headers);
                return Ok(Some(response));
            }
            Action::Redirect(redirect) => {
                let headers = &mut parts.headers;
                let response = send_elsewhere(exchange, redirect, canonical, headers);
                return response.map(Some);
            }
            Action::Forward(forward) => forward,
        };
        let mutations = route.mutations(exchange.random);
        mutations.request(
            &mut parts.headers,
            |template: &Template, headers: &HeaderMap| exchange.fill(template, Some(headers), None),
        );
        let rewritten;
        let canonical = match &forward.rewrite {
            None => canonical,
            Some(rewrite) => {
                rewritten = rewrite.apply(canonical, &mut parts.headers)?;
                exchange.rewritten(&rewritten);
                &rewritten
            }
        };
        let upload = self.body.known(exchange);
        let operation = operation(exchange, parts, route);
        let host = routes.virtual_host(found.0);
        let asked = router::Asked {
            exchange,
            parts,
            canonical,
            upload: upload.as_ref(),
            alpn: choices.alpn,
            metadata: choices.metadata,
            operation,
            tells_attempt: host.include_attempt_count,
            tells_timeouts: host.tells_timeouts,
        };
        let response = router::forward(asked, forward, finish).await?;
        if let Some(policy) = &forward.internal_redirects
            && let Some(place) = policy.target(&response, &self.followed)
            && upload.as_ref().is_none_or(|upload| upload.is_kept())
        {
            let canonical = canonical.clone();
            let policy = (&**policy, &route.name);
            if self.follow(policy, routes, canonical, &place, &response) {
                return Ok(None);
            }
        }
        Ok(Some(response))
    }

    // Makes the request one for `place`, if the policy of the route that was taken lets it.
    fn follow(
        &mut self,
        (policy, from): (&InternalRedirects, &Arc<str>),
        routes: &RouteTable,
        asked: Canonical,
        place: &Uri,
        response: &Response<Body>,
    ) -> bool {
        let rules = &self.exchange.downstream.manager.rules;
        let Some(wanted) = asked.elsewhere(place, rules) else {
            return false;
        };
        let from_https = is_https(&self.parts.headers);
        let to_https = place.scheme_str() == Some("https");
        let mut headers = self.parts.headers.clone();
        for name in &policy.headers_to_copy {
            headers.remove(name);
            for value in response.headers().get_all(name) {
                headers.append(name, value.clone());
            }
        }
        let scheme = |https| if https { "https" } else { "http" };
        headers.insert(
            header::FORWARDED_PROTO,
            HeaderValue::from_static(scheme(to_https)),
        );
        let original = format!("{}://{}{}", scheme(from_https), asked.host(), asked.path);
        if let Ok(original) = HeaderValue::from_str(&original) {
            headers.insert(header::ORIGINAL_URL, original);
        }
        std::mem::swap(&mut self.parts.headers, &mut headers);
        let found = find(routes, self.exchange, self.parts, &wanted);
        let step = found.map(|found| Step {
            from,
            to: &routes.route(found).name,
            from_https,
            to_https,
        });
        if !step.is_some_and(|step| policy.follow(step, &mut self.followed)) {
            self.parts.headers = headers;
            return false;
        }
        let method = &mut self.parts.method;
        if becomes_get(response.status()) && *method != Method::GET && *method != Method::HEAD {
            *method = Method::GET;
            self.parts.headers.remove(http::header::CONTENT_LENGTH);
            self.body = Upcoming::Known(None);
        }
        self.exchange.rewritten(&wanted);
        self.canonical = wanted;
        true
    }
}

// A filter answers: the log names the cluster all the same.
fn stopped(exchange: &Exchange, route: Option<&Route>) {
    if let Some(Action::Forward(forward)) = route.map(|route| &route.action) {
        let slot = forward.target.cluster(exchange.random);
        let clusters = &exchange.downstream.worker.clusters;
        if let Some(cluster) = clusters.get(slot).as_ref() {
            exchange.left_by(Rc::new(cluster.info.record()));
        }
    }
}

impl Upcoming {
    // From now on it is on its way.
    fn known(&mut self, exchange: &Exchange) -> Option<Rc<Upload>> {
        *self = match std::mem::replace(self, Self::Known(None)) {
            Self::New(incoming) => Self::Known(upload(exchange, incoming)),
            known => known,
        };
        match self {
            Self::Known(upload) => upload.clone(),
            Self::New(_) => None,
        }
    }
}

fn find(
    routes: &RouteTable,
    exchange: &Exchange,
    parts: &Parts,
    canonical: &Canonical,
) -> Option<(u32, u32)> {
    routes.find(&RequestHead {
        host: canonical.host(),
        path: &canonical.path,
        method: &parts.method,
        headers: &parts.headers,
        random: exchange.random,
    })
}

// The client's proxy names the operation, for the server's to use in its span; without that, the server's tells its own
// in the response.
fn operation<'a>(
    exchange: &Exchange,
    parts: &mut Parts,
    route: &'a Route,
) -> Option<&'a HeaderValue> {
    if !exchange.downstream.manager.is_traced {
        return None;
    }
    let operation = route.operation.as_ref();
    match exchange.downstream.connection.direction {
        Some(Direction::Outbound) => operation,
        _ => {
            if parts.headers.remove(header::DECORATOR_OPERATION).is_none() {
                exchange.operates(operation);
            }
            None
        }
    }
}

fn upload(exchange: &Exchange, incoming: Incoming) -> Option<Rc<Upload>> {
    if http_body::Body::is_end_stream(&incoming) {
        return None;
    }
    let upload = Upload::new(incoming, exchange.counts_messages());
    exchange.uploads(&upload);
    Some(upload)
}

fn send_elsewhere(
    exchange: &Exchange,
    redirect: &Redirect,
    canonical: &Canonical,
    headers: &mut HeaderMap,
) -> Result<Response<Body>, LocalReply> {
    let location = redirect.location(canonical, headers)?;
    exchange.answered("direct_response");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = redirect.status;
    response
        .headers_mut()
        .insert(http::header::LOCATION, location);
    Ok(for_grpc(exchange, response, b""))
}

// A gRPC client gets our own answers in gRPC's terms.
fn for_grpc(exchange: &Exchange, response: Response<Body>, body: &[u8]) -> Response<Body> {
    if !exchange.is_grpc() {
        return response;
    }
    let status = grpc::from_http(response.status());
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::OK;
    parts.headers.remove(http::header::CONTENT_LENGTH);
    grpc::local_reply(&mut parts.headers, status, &String::from_utf8_lossy(body));
    Response::from_parts(parts, Body::empty())
}

fn answer_directly(
    exchange: &Exchange,
    direct: &DirectResponse,
    canonical: &Canonical,
    asked: &HeaderMap,
) -> Response<Body> {
    exchange.answered("direct_response");
    let mut response = Response::new(Body::full(direct.body.clone()));
    *response.status_mut() = direct.status;
    let headers = response.headers_mut();
    if !direct.body.is_empty() {
        let text = HeaderValue::from_static("text/plain");
        headers.insert(http::header::CONTENT_TYPE, text);
        let length = HeaderValue::from(direct.body.len());
        headers.insert(http::header::CONTENT_LENGTH, length);
    }
    let has_place = direct.status == StatusCode::CREATED || direct.status.is_redirection();
    if has_place && let Some(location) = same_place(canonical, asked) {
        headers.insert(http::header::LOCATION, location);
    }
    as_wanted(exchange, for_grpc(exchange, response, &direct.body))
}

// A body that nobody takes would be one that broke off.
fn as_wanted(exchange: &Exchange, response: Response<Body>) -> Response<Body> {
    match exchange.wants_head() {
        true => response.map(|_| Body::empty()),
        false => response,
    }
}

// From the answer to the client: what its route changes, filters in reverse, then what the connection manager does to every response.
fn depart(exchange: &Exchange, response: &mut Response<Body>) {
    let Downstream {
        connection,
        manager,
        is_draining,
        ..
    } = &*exchange.downstream;
    let status = response.status();
    let table = exchange.route();
    let route = table
        .as_ref()
        .and_then(|(t, found)| Some(t.get()?.route(*found)));
    if let Some(route) = route {
        let fill = |template: &Template, headers: &HeaderMap| {
            exchange.fill(template, None, Some((status, headers)))
        };
        let mutations = route.mutations(exchange.random);
        if !exchange.is_preflight() {
            mutations.response(response.headers_mut(), fill);
        }
    }
    if let Some((table, (host, _))) = &table
        && let Some(routes) = table.get()
        && routes.virtual_host(*host).tells_attempts
        && exchange.attempts() > 0
    {
        let attempts = HeaderValue::from(exchange.attempts());
        let headers = response.headers_mut();
        headers.insert(header::ATTEMPT_COUNT, attempts);
    }
    let overrides = route.and_then(|route| route.overrides.as_deref());
    for filter in manager.filters.iter().rev() {
        filter.response(overrides, exchange, response.headers_mut());
    }
    let is_http1 = exchange.version() != http::Version::HTTP_2;
    let operation = exchange.operation();
    header::response::departing(
        status,
        response.headers_mut(),
        manager,
        connection.direction,
        operation.as_ref(),
        is_http1 && (exchange.closes() || is_draining.get()),
    );
    exchange.responds(status, response.headers());
}
