//! A connection manager, compiled.

use super::{
    canonical::Rules,
    filter::Link,
    path::PathRules,
    route::{RouteSlot, RouteTable},
};
use crate::{
    publish::Local,
    telemetry::{Counter, Observers, Scope, Telemetry, substitution::InvalidFormat},
    worker::{Shared, Worker},
};
use http::HeaderValue;
use mesh_model::{
    filter::Stats,
    http::{ForwardClientCert, HttpConnectionManager, HttpFilter, RouteSource},
    name::Direction,
};
use std::{rc::Rc, sync::Arc, time::Duration};

/// Envoy's idle timeout of connections without streams.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// A compiled [`HttpConnectionManager`].
#[derive(Debug)]
pub struct Manager {
    /// Prefix of its statistics.
    pub stat_prefix: String,
    pub(super) rules: Rules,
    pub(super) filters: Box<[Link]>,
    /// What `server` is overwritten with.
    pub(super) server: Option<HeaderValue>,
    pub(super) use_remote_address: bool,
    pub(super) forward_client_cert: ForwardClientCert,
    pub(super) preserve_header_case: bool,
    pub(super) generate_request_id: bool,
    pub(super) is_traced: bool,
    /// Messages of gRPC calls are counted.
    pub(super) counts_messages: bool,
    /// `None`: a connection may be without streams for ever.
    pub(super) idle_timeout: Option<Duration>,
    /// `None`: a stream may be idle for ever.
    pub(super) stream_idle_timeout: Option<Duration>,
    pub(super) observers: Observers,
    pub(super) counters: Counters,
    routes: Source,
}

/// What is counted of connections that do not go as they should, of all connection managers together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counters {
    /// What came was not HTTP, or more than may come.
    pub(super) protocol_error: Counter,
    /// A head did not come in time.
    pub(super) head_timeout: Counter,
    /// Nothing came for too long.
    pub(super) idle_timeout: Counter,
    /// A flood of HTTP/2 frames was cut.
    pub(super) flood: Counter,
}

impl Counters {
    fn new(telemetry: &Telemetry) -> Self {
        let counter = |name| telemetry.counter(Scope::Process("http"), name);
        Self {
            protocol_error: counter("downstream_cx_protocol_error"),
            head_timeout: counter("downstream_rq_header_timeout"),
            idle_timeout: counter("downstream_cx_idle_timeout"),
            flood: counter("downstream_cx_http2_flood"),
        }
    }
}

#[derive(Debug)]
enum Source {
    Discovered(Arc<RouteSlot>),
    Inline(Arc<RouteTable>),
}

/// A route table at one moment, as a worker holds it.
#[derive(Clone, Debug)]
pub(super) enum Table {
    Discovered(Local<Option<Arc<RouteTable>>>),
    Inline(Rc<Own>),
}

/// A connection manager's own table. Behind an `Rc` of its connection's, so that requests do not count references that
/// all workers share.
#[derive(Debug)]
pub(super) struct Own(Arc<RouteTable>);

impl Table {
    /// The table; `None`: it has not come.
    pub(super) fn get(&self) -> Option<&RouteTable> {
        match self {
            Self::Discovered(local) => local.as_deref(),
            Self::Inline(own) => Some(&own.0),
        }
    }
}

impl Manager {
    /// Compiles `model`, which stands in a listener of that direction.
    ///
    /// # Errors
    /// If the format of an access log or of a header is not understood.
    pub fn compile(
        model: &HttpConnectionManager,
        _direction: Option<Direction>,
        shared: &Shared,
    ) -> Result<Self, InvalidFormat> {
        let stats = stats(model);
        let server = HeaderValue::from_str(&model.server_name).ok();
        let idle_timeout = model.idle_timeout.unwrap_or(DEFAULT_IDLE_TIMEOUT);
        let scope = Scope::Http(model.stat_prefix.as_str().into());
        Ok(Self {
            stat_prefix: model.stat_prefix.clone(),
            rules: Rules {
                path: PathRules::of(model),
                accept_http_10: model.accept_http_10,
                upgrades: model.upgrades.clone(),
            },
            filters: (model.filters.iter())
                .filter_map(|f| Link::compile(f, &model.stat_prefix, &scope, shared))
                .collect(),
            server: server.filter(|_| model.overwrite_server),
            use_remote_address: model.use_remote_address,
            forward_client_cert: model.forward_client_cert,
            preserve_header_case: model.preserve_header_case,
            generate_request_id: model.generate_request_id,
            is_traced: model.tracing.is_some(),
            counts_messages: (model.filters.iter())
                .any(|f| !f.disabled && f.filter == HttpFilter::GrpcStats),
            idle_timeout: some(idle_timeout),
            stream_idle_timeout: some(model.stream_idle_timeout),
            observers: shared.telemetry.observers(stats, &model.access_logs)?,
            counters: Counters::new(&shared.telemetry),
            routes: match &model.routes {
                RouteSource::Rds(name) => Source::Discovered(shared.routes.slot(name)),
                RouteSource::Inline(configuration) => {
                    let table = RouteTable::compile(configuration, &shared.clusters)?;
                    Source::Inline(Arc::new(table))
                }
            },
        })
    }

    /// Whether its routes have come.
    pub fn is_warm(&self) -> bool {
        match &self.routes {
            Source::Discovered(slot) => slot.is_filled(),
            Source::Inline(_) => true,
        }
    }

    /// Its routes now.
    pub(super) fn table(&self, worker: &Worker) -> Table {
        match &self.routes {
            Source::Discovered(slot) => Table::Discovered(worker.routes.get(slot)),
            Source::Inline(table) => Table::Inline(Rc::new(Own(Arc::clone(table)))),
        }
    }

    /// Whether its routes never change.
    pub(super) fn has_own_routes(&self) -> bool {
        matches!(self.routes, Source::Inline(_))
    }
}

// Zero is none.
fn some(timeout: Duration) -> Option<Duration> {
    (!timeout.is_zero()).then_some(timeout)
}

fn stats(model: &HttpConnectionManager) -> Option<Stats> {
    let on = model.filters.iter().filter(|named| !named.disabled);
    on.map(|named| &named.filter)
        .find_map(|filter| match filter {
            HttpFilter::Stats(stats) => Some(*stats),
            _ => None,
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Istio's settings of a sidecar, with routes under the name `80`.
    pub(crate) fn model() -> HttpConnectionManager {
        HttpConnectionManager {
            filters: vec![HttpFilter::Router.into()],
            stream_idle_timeout: Duration::ZERO,
            upgrades: vec!["websocket".into()],
            normalize_path: true,
            accept_http_10: true,
            ..HttpConnectionManager::new("test", RouteSource::Rds("80".into()))
        }
    }

    pub(crate) fn manager(model: &HttpConnectionManager) -> Manager {
        let shared = crate::http::downstream::tests::shared();
        Manager::compile(model, None, &shared).expect("compiles")
    }
}
