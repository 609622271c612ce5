//! The pages: debug, readiness, metrics. Each is a view of what others hold; none changes anything but the levels of the log.

mod clients; // syncz, adsz, connections
mod dump; // config_dump, edsz, ndsz
mod push_status; // push_status
mod scopes; // scopej
mod world; // registryz, endpointz, configz, mesh

use super::{
    ads::Hub,
    connections::Connected,
    visitor::{Denied, Visitor},
};
use crate::{ca::caller::Authenticator, metrics, push::Published, watch::Problem};
use axum::{
    Router,
    extract::{ConnectInfo, Query, Request, State},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use mesh_runtime::{log::Logging, readiness::Readiness};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};
use tokio::sync::watch;

/// What the pages show.
#[derive(Debug)]
pub struct Pages {
    /// Streams, pushes, counters.
    pub hub: Hub,
    /// What the source does not understand.
    pub problems: watch::Receiver<Arc<[Problem]>>,
    /// Whether we are ready.
    pub readiness: Readiness,
    /// Checks tokens of visitors, once it is there.
    pub authenticator: OnceLock<Arc<Authenticator>>,
    /// The levels of the log.
    pub logging: Arc<Logging>,
    /// Who we are.
    pub about: About,
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of this replica.
    pub name: String,
    /// Namespace of the control plane.
    pub namespace: String,
    /// Name of the cluster.
    pub cluster_id: String,
    /// Version of the program.
    pub version: &'static str,
}

/// Path, and what it shows.
const PAGES: [(&str, &str); 15] = [
    ("/debug/syncz", "How far each proxy is with each type"),
    ("/debug/adsz", "Streams and what they are subscribed to"),
    ("/debug/connections", "Streams"),
    ("/debug/registryz", "Services"),
    ("/debug/endpointz", "Endpoints of each service"),
    (
        "/debug/configz",
        "Settings of the mesh, and what of the source is not understood",
    ),
    (
        "/debug/push_status",
        "What objects claim and do not get, and services without endpoints",
    ),
    ("/debug/mesh", "Settings of the mesh"),
    (
        "/debug/config_dump?proxyID=",
        "What a proxy is served; proxyID is POD.NAMESPACE",
    ),
    ("/debug/edsz?proxyID=", "Endpoints that a proxy is served"),
    (
        "/debug/ndsz?proxyID=",
        "Names that a proxy's DNS server answers, if it asks for them",
    ),
    (
        "/debug/pprof",
        "No profiles, and how to have them: this program is not written in Go",
    ),
    (
        "/scopej/",
        "Scopes of the log and their levels, which PUT changes from this machine",
    ),
    ("/metrics", "Counters in Prometheus' text format"),
    (
        "/ready",
        "Whether the control plane is ready, and what it waits for",
    ),
];

/// All pages.
pub fn router(pages: Arc<Pages>) -> Router {
    let debug = Router::new()
        .route("/debug", get(index))
        .route("/debug/", get(index))
        .route("/debug/list", get(index))
        .route("/debug/syncz", get(clients::syncz))
        .route("/debug/adsz", get(clients::adsz))
        .route("/debug/connections", get(clients::connections))
        .route("/debug/registryz", get(world::registryz))
        .route("/debug/endpointz", get(world::endpointz))
        .route("/debug/endpointShardz", get(world::endpointz))
        .route("/debug/configz", get(world::configz))
        .route("/debug/push_status", get(push_status::push_status))
        .route("/debug/mesh", get(world::mesh))
        .route("/debug/pprof", get(no_profiles))
        .route("/debug/pprof/{*profile}", get(no_profiles))
        .route("/debug/config_dump", get(dump::config_dump))
        .route("/debug/edsz", get(dump::edsz))
        .route("/debug/ndsz", get(dump::ndsz))
        .route("/scopej/", get(scopes::all))
        .route("/scopej/{scope}", get(scopes::one).put(scopes::set))
        .route_layer(middleware::from_fn_with_state(pages.clone(), let_in));
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/ready", get(ready))
        .route("/version", get(version))
        .merge(debug)
        .with_state(pages)
}

/// Which proxy, in a query.
#[derive(Debug, Deserialize)]
struct ProxyQuery {
    #[serde(rename = "proxyID")]
    proxy_id: Option<String>,
}

/// Why a page is not shown.
#[derive(Debug)]
enum Refused {
    Denied(Denied),
    Status(StatusCode, String),
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Denied(denied) => (denied.status(), format!("{denied}\n")).into_response(),
            Self::Status(status, reason) => (status, format!("{reason}\n")).into_response(),
        }
    }
}

impl Pages {
    fn published(&self) -> Result<Arc<Published>, Refused> {
        let published = self.hub.publications.borrow().clone();
        published.ok_or_else(|| {
            Refused::Status(
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: the sources have not told everything yet".into(),
            )
        })
    }

    /// What the source does not understand, and what objects claim and do not get.
    fn all_problems(&self) -> Vec<Problem> {
        let published = self.hub.publications.borrow().clone();
        let conflicts = published.map(|p| p.conflicts.clone());
        let conflicts = conflicts.iter().flat_map(|all| all.iter());
        let problems = self.problems.borrow();
        let all = problems.iter().chain(conflicts.map(|c| &c.problem));
        all.cloned().collect()
    }

    /// The proxy of a query, if the visitor may see it.
    fn proxy(&self, query: &ProxyQuery, visitor: &Visitor) -> Result<Arc<Connected>, Refused> {
        let Some(id) = query.proxy_id.as_deref().filter(|id| !id.is_empty()) else {
            let reason = "which proxy? give ?proxyID=POD.NAMESPACE; /debug/connections lists those that are connected";
            return Err(Refused::Status(StatusCode::BAD_REQUEST, reason.into()));
        };
        let found = self.hub.connections.find(id);
        // A visitor must not learn from the answer whether a proxy of another namespace exists.
        let namespace = found
            .as_ref()
            .map_or_else(|| namespace_of(id), |c| c.client.proxy.id.namespace.clone());
        visitor.may_see(&namespace)?;
        found.ok_or_else(|| {
            Refused::Status(
                StatusCode::NOT_FOUND,
                format!("proxy {id} is not connected to this replica"),
            )
        })
    }
}

fn namespace_of(proxy: &str) -> String {
    proxy
        .rsplit_once('.')
        .map_or(proxy, |(_, namespace)| namespace)
        .to_owned()
}

/// Finds out who visits. Pages ask the visitor what it may see.
async fn let_in(
    State(pages): State<Arc<Pages>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let authenticator = pages.authenticator.get().map(Arc::as_ref);
    // The request itself cannot be shared with what is waited for.
    let headers = request.headers().clone();
    let visitor = Visitor::of(
        address.ip(),
        &headers,
        authenticator,
        &pages.about.namespace,
    )
    .await?;
    request.extensions_mut().insert(visitor);
    Ok(next.run(request).await)
}

async fn index() -> Html<String> {
    let item =
        |(path, what): &(&str, &str)| format!("<li><a href=\"{path}\">{path}</a> {what}</li>\n");
    let items: String = PAGES.iter().map(item).collect();
    Html(format!(
        "<!doctype html><title>mesh-discovery</title><h1>mesh-discovery</h1><ul>\n{items}</ul>\n"
    ))
}

async fn show_metrics(State(pages): State<Arc<Pages>>) -> impl IntoResponse {
    let connected = pages.hub.connections.count() as u64;
    pages.hub.metrics.xds_connections.set(connected);
    let published = pages.hub.publications.borrow().clone();
    let world = published.map(|p| metrics::world::text(&p));
    let mut text = pages
        .hub
        .metrics
        .write(pages.about.version, &pages.all_problems());
    text.extend(world);
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
}

/// Go's tools look here.
async fn no_profiles() -> Refused {
    let reason = "no profiles are taken here: this program is not written in Go; `perf record -p PID` on its node sees the same";
    Refused::Status(StatusCode::NOT_IMPLEMENTED, reason.into())
}

async fn ready(State(pages): State<Arc<Pages>>) -> (StatusCode, String) {
    match pages.readiness.check() {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(unready) => (StatusCode::SERVICE_UNAVAILABLE, format!("{unready}\n")),
    }
}

async fn version(State(pages): State<Arc<Pages>>) -> String {
    format!("{}\n", pages.about.version)
}

/// JSON for people.
fn json(value: &impl Serialize) -> Result<Response, Refused> {
    let text = serde_json::to_string_pretty(value);
    let text =
        text.map_err(|e| Refused::Status(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    Ok((headers, text + "\n").into_response())
}

/// A time as people and tools read it.
fn time(at: std::time::SystemTime) -> String {
    let rounded =
        jiff::Timestamp::try_from(at).map(|t| t.round(jiff::Unit::Millisecond).unwrap_or(t));
    rounded.map(|t| t.to_string()).unwrap_or_default()
}

type VisitorOf = axum::Extension<Visitor>;
type ProxyOf = Query<ProxyQuery>;
