//! Which socket offers what.

use super::{
    Facts, endpoint, guard, names,
    reply::{Body, Reply},
    scrape, stats,
};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::{net::SocketAddr, sync::Arc};

/// What is offered on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Envoy's admin interface, on loopback alone (port 15000).
    Admin,
    /// The agent's port: readiness, metrics, probes of the application, the orders of the pod (15020).
    Status,
    /// Readiness (15021).
    Health,
    /// Metrics (15090).
    Prometheus,
}

impl Surface {
    /// Answers a request.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
        peer: SocketAddr,
        facts: Arc<Facts>,
    ) -> Response<Body> {
        let reply = match self {
            Self::Admin => match guard::admin(&request, peer) {
                Ok(()) => endpoint::answer(&request, facts).await,
                Err(refused) => refused,
            },
            Self::Status => status(&request, peer, &facts).await,
            Self::Health => match request.uri().path() {
                "/healthz/ready" => readiness(&facts),
                _ => not_found(),
            },
            Self::Prometheus => match request.uri().path() {
                "/stats/prometheus" => stats::everything(&facts),
                _ => not_found(),
            },
        };
        reply.into_response()
    }
}

async fn status(request: &Request<Incoming>, peer: SocketAddr, facts: &Arc<Facts>) -> Reply {
    match request.uri().path() {
        "/healthz/ready" => readiness(facts),
        "/stats/prometheus" | "/metrics" => scrape::answer(facts, request.headers()).await,
        "/quitquitquit" => order(request, peer, || facts.quit()),
        "/drain" if facts.shared.listeners.has_no_sockets() => elsewhere(),
        // From the hook of a native sidecar: the kubelet ends it only after the application, so that its own end need
        // not wait for anybody.
        "/drain" => order(request, peer, || {
            facts.drain(true);
            facts.shared.drain.expect_nobody();
        }),
        "/debug/ndsz" if guard::is_own(peer) => names::answer(facts),
        "/debug/ndsz" => only_own(),
        path if path.starts_with("/app-health/") || path.starts_with("/app-lifecycle/") => {
            facts.application.probe(path, request.headers()).await
        }
        _ => not_found(),
    }
}

/// Orders that only the pod itself may give.
fn order(request: &Request<Incoming>, peer: SocketAddr, obey: impl FnOnce()) -> Reply {
    if !guard::is_own(peer) {
        return only_own();
    }
    if let Err(refused) = guard::no_page(request) {
        return refused;
    }
    if request.method() != Method::POST {
        return Reply::refuse(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    }
    obey();
    Reply::text("OK")
}

fn readiness(facts: &Facts) -> Reply {
    match facts.ready() {
        Ok(()) => Reply::text(""),
        Err(why) => Reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

fn only_own() -> Reply {
    Reply::refuse(
        StatusCode::FORBIDDEN,
        "Only requests from localhost are allowed",
    )
}

fn elsewhere() -> Reply {
    let why = "connections are not here\nhint: ask the data plane of this pod: POST /drain_listeners?inboundonly&graceful";
    Reply::refuse(StatusCode::NOT_IMPLEMENTED, why)
}

fn not_found() -> Reply {
    Reply::refuse(StatusCode::NOT_FOUND, "Not Found")
}
