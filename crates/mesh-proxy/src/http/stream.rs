//! The story of one request.

use super::{
    Body,
    body::Upload,
    canonical::Canonical,
    downstream::Downstream,
    exchange::{Exchange, Finish},
    filter::{Ask, Choices},
    header,
    local_reply::LocalReply,
    matching::RequestHead,
    route::{Action, DirectResponse, Route, RouteTable},
    router,
};
use crate::telemetry::substitution::Template;
use http::{HeaderMap, HeaderValue, Request, Response, request::Parts};
use hyper::body::Incoming;
use mesh_model::name::Direction;
use std::{convert::Infallible, rc::Rc};

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
    let answered = match exchange.downstream.manager.stream_idle_timeout {
        None => asking.await,
        Some(limit) => tokio::select! {
            biased;
            answered = asking => answered,
            () = exchange.idle(limit) => Err(LocalReply::stream_idle(exchange.is_complete())),
        },
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

// From the request's arrival to its answer.
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
    let routes = table.get();
    let found = routes.and_then(|routes| find(routes, exchange, parts, &canonical));
    let route = routes.zip(found).map(|(routes, found)| routes.route(found));
    if let Some(found) = found {
        exchange.routed(&table, found);
    }
    let mut ask = Ask {
        exchange,
        parts,
        canonical: &canonical,
        overrides: route.and_then(|route| route.overrides.as_deref()),
        choices: Choices::default(),
    };
    for filter in &manager.filters {
        filter.request(&mut ask).settled().await?;
    }
    let Ask { parts, choices, .. } = ask;
    let changed = choices.path.map(|path| Canonical {
        path,
        ..canonical.clone()
    });
    let canonical = changed.as_ref().unwrap_or(&canonical);

    let routes = routes.ok_or_else(LocalReply::no_route_table)?;
    let (found, route) = found.zip(route).ok_or_else(LocalReply::no_route)?;
    let forward = match &route.action {
        Action::Direct(direct) => return Ok(answer_directly(exchange, direct)),
        Action::Forward(forward) => forward,
    };
    let mutations = route.mutations(exchange.random);
    mutations.request(
        &mut parts.headers,
        |template: &Template, headers: &HeaderMap| exchange.fill(template, Some(headers), None),
    );
    let upload = upload(exchange, incoming);
    let operation = operation(exchange, parts, route);
    let asked = router::Asked {
        exchange,
        parts,
        canonical,
        upload: upload.as_ref(),
        alpn: choices.alpn,
        metadata: choices.metadata,
        operation,
        tells_attempt: routes.virtual_host(found.0).include_attempt_count,
    };
    router::forward(asked, forward, finish).await
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

fn answer_directly(exchange: &Exchange, direct: &DirectResponse) -> Response<Body> {
    exchange.answered("direct_response");
    let mut response = Response::new(Body::full(direct.body.clone()));
    *response.status_mut() = direct.status;
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_LENGTH,
        HeaderValue::from(direct.body.len()),
    );
    if !direct.body.is_empty() {
        let text = HeaderValue::from_static("text/plain");
        headers.insert(http::header::CONTENT_TYPE, text);
    }
    as_wanted(exchange, response)
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
        mutations.response(response.headers_mut(), fill);
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
