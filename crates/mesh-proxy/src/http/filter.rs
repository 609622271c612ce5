//! What stands between a request's route and the router, in the order configured.
//!
//! Filters are an enum, run in order over the request and in reverse over the response, local replies included. The
//! route is known to them (or that there is none: the router says so, at the end), with what it changes of each. A filter
//! that has to wait hands over a future; the others cost nothing. What is configured without having anything to do on the
//! path (metrics, which are told when the exchange ends) is not here.

mod alpn;
mod cors;
mod fault;
mod jwt;
mod peer_metadata;
mod rbac;

pub(super) use alpn::AlpnOverride;
pub(crate) use cors::Origins;
pub(super) use fault::FaultInjection;
pub(super) use peer_metadata::OwnMetadata;

use super::{
    canonical::Canonical,
    exchange::Exchange,
    local_reply::LocalReply,
    matching::RequestHead,
    route::{Override, Overrides},
};
use crate::{telemetry::Scope, worker::Shared};
use cors::Cors;
use http::{HeaderMap, request::Parts, uri::PathAndQuery};
use jwt::JwtAuth;
use mesh_model::http::{HttpFilter, NamedFilter};
use peer_metadata::PeerMetadata;
use rbac::Rbac;
use std::{pin::Pin, rc::Rc};

/// A filter in the chain of a connection manager, compiled.
#[derive(Debug)]
pub(super) struct Link {
    name: Box<str>,
    disabled: bool,
    filter: Filter,
}

/// An HTTP filter, compiled.
#[derive(Debug)]
enum Filter {
    /// What is offered upstream follows what is spoken there.
    Alpn(AlpnOverride),
    /// Pages of other origins.
    Cors(Cors),
    /// Faults on purpose.
    Fault(Box<FaultInjection>),
    /// Peers tell each other who they are.
    PeerMetadata(Box<PeerMetadata>),
    /// Who may ask for what.
    Rbac(Box<Rbac>),
    /// Tokens that say who asks.
    Jwt(Box<JwtAuth>),
}

/// A request on its way through the filters.
pub(super) struct Ask<'a> {
    pub(super) exchange: &'a Rc<Exchange>,
    pub(super) parts: &'a mut Parts,
    pub(super) canonical: &'a Canonical,
    /// What its route changes of filters; `None`: nothing, or there is no route.
    pub(super) overrides: Option<&'a Overrides>,
    pub(super) choices: Choices<'a>,
}

impl Ask<'_> {
    /// The request's head, as matchers see it.
    pub(super) fn head(&self) -> RequestHead<'_> {
        RequestHead {
            host: self.canonical.host(),
            path: &self.canonical.path,
            method: &self.parts.method,
            headers: &self.parts.headers,
            random: self.exchange.random,
        }
    }
}

/// What filters may change of a request.
#[derive(Debug, Default)]
pub(super) struct Choices<'a> {
    /// ALPN protocols to offer upstream instead of the transport's own.
    pub(super) alpn: Option<&'a AlpnOverride>,
    /// What an endpoint of the mesh is told of us.
    pub(super) metadata: Option<&'a OwnMetadata>,
    /// The path to send on instead of the request's own.
    pub(super) path: Option<PathAndQuery>,
}

/// What a filter says of a request.
pub(super) enum Verdict<'f> {
    /// It goes on.
    Continue,
    /// It is answered.
    Reply(Box<LocalReply>),
    /// It is not decided yet.
    Wait(Pin<Box<dyn Future<Output = Result<(), LocalReply>> + 'f>>),
}

impl Verdict<'_> {
    /// Waits for the outcome.
    ///
    /// # Errors
    /// The reply, if the request goes no further.
    pub(super) async fn settled(self) -> Result<(), LocalReply> {
        match self {
            Self::Continue => Ok(()),
            Self::Reply(reply) => Err(*reply),
            Self::Wait(waiting) => waiting.await,
        }
    }
}

impl Link {
    /// Compiles `model` of the connection manager `stat_prefix`, whose own counters are under `scope`; `None`: it has
    /// nothing to do on the path.
    pub(super) fn compile(
        model: &NamedFilter,
        stat_prefix: &str,
        scope: &Scope,
        shared: &Shared,
    ) -> Option<Self> {
        Some(Self {
            name: model.name.as_str().into(),
            disabled: model.disabled,
            filter: Filter::compile(&model.filter, stat_prefix, scope, shared)?,
        })
    }

    /// Sees a request.
    pub(super) fn request<'f, 'a: 'f>(&'a self, ask: &'f mut Ask<'a>) -> Verdict<'f> {
        match self.state(ask.overrides) {
            State::Off => Verdict::Continue,
            State::On(config) => self.filter.request(ask, config),
        }
    }

    /// Sees a response to a request with such a route.
    pub(super) fn response(
        &self,
        overrides: Option<&Overrides>,
        exchange: &Exchange,
        headers: &mut HeaderMap,
    ) {
        if let State::On(config) = self.state(overrides) {
            self.filter.response(config, exchange, headers);
        }
    }

    fn state<'a>(&self, overrides: Option<&'a Overrides>) -> State<'a> {
        match overrides.and_then(|all| all.get(&self.name)) {
            None if self.disabled => State::Off,
            Some(Override::Off) => State::Off,
            config => State::On(config),
        }
    }
}

/// Whether a filter is on for a request, and what takes the place of its settings.
enum State<'a> {
    Off,
    On(Option<&'a Override>),
}

impl Filter {
    fn compile(
        model: &HttpFilter,
        stat_prefix: &str,
        scope: &Scope,
        shared: &Shared,
    ) -> Option<Self> {
        match model {
            HttpFilter::Alpn(alpn) => Some(Self::Alpn(AlpnOverride::new(alpn))),
            HttpFilter::Fault(fault) => Some(Self::Fault(Box::new(FaultInjection::new(fault)))),
            HttpFilter::PeerMetadata(metadata) => {
                let filter = PeerMetadata::new(metadata, shared.telemetry.workload());
                Some(Self::PeerMetadata(Box::new(filter)))
            }
            HttpFilter::Rbac(rbac) => {
                let filter = Rbac::new(rbac, scope, &shared.telemetry);
                Some(Self::Rbac(Box::new(filter)))
            }
            HttpFilter::Jwt(jwt) => Some(Self::Jwt(Box::new(JwtAuth::new(jwt, scope, shared)))),
            HttpFilter::Cors => Some(Self::Cors(Cors::new(stat_prefix, &shared.telemetry))),
            HttpFilter::GrpcStats | HttpFilter::Stats(_) | HttpFilter::Router => None,
        }
    }

    fn request<'f, 'a: 'f>(
        &'a self,
        ask: &'f mut Ask<'a>,
        config: Option<&'a Override>,
    ) -> Verdict<'f> {
        match self {
            Self::Alpn(alpn) => ask.choices.alpn = Some(alpn),
            Self::Cors(cors) => {
                if let Some(Override::Cors(origins)) = config {
                    return cors.request(ask, origins);
                }
            }
            Self::Fault(own) => match config {
                Some(Override::Fault(fault)) => return fault.request(ask),
                _ => return own.request(ask),
            },
            Self::PeerMetadata(filter) => {
                if let Some(client) = filter.client(&mut ask.parts.headers) {
                    ask.exchange.met(client);
                }
                ask.choices.metadata = filter.for_server();
            }
            Self::Rbac(filter) => return filter.request(ask, config),
            Self::Jwt(filter) => return filter.request(ask, config),
        }
        Verdict::Continue
    }

    fn response(&self, config: Option<&Override>, exchange: &Exchange, headers: &mut HeaderMap) {
        match self {
            Self::Alpn(_) | Self::Fault(_) | Self::Rbac(_) | Self::Jwt(_) => {}
            Self::Cors(cors) => {
                if let Some(Override::Cors(origins)) = config {
                    cors.response(origins, exchange, headers);
                }
            }
            Self::PeerMetadata(filter) => {
                let server = filter.server(headers);
                if exchange.has_met()
                    && let Some(own) = filter.for_client()
                {
                    own.write(headers);
                }
                if let Some(server) = server {
                    exchange.met(server);
                }
            }
        }
    }
}
