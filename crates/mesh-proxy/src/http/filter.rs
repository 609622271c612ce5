//! What stands between a request's route and the router, in the order configured.
//!
//! Filters are an enum, run in order over the request and in reverse over the response. What is configured without a
//! policy of its own (fault, CORS) has nothing to do, and metrics are told when the exchange ends; neither is here.

mod alpn;

use super::{exchange::Exchange, local_reply::LocalReply};
use crate::upstream::transport::Alpn;
use alpn::AlpnOverride;
use http::HeaderMap;
use mesh_model::http::HttpFilter;
use std::sync::Arc;

/// An HTTP filter, compiled.
#[derive(Debug)]
pub(super) enum Filter {
    /// What is offered upstream follows what is spoken downstream.
    Alpn(AlpnOverride),
}

/// What filters may change of a request.
#[derive(Debug, Default)]
pub(super) struct Choices<'a> {
    /// ALPN protocols to offer upstream instead of the transport's own.
    pub(super) alpn: Option<&'a Arc<Alpn>>,
}

impl Filter {
    /// Compiles `model`; `None`: it has nothing to do on the path.
    pub(super) fn compile(model: &HttpFilter) -> Option<Self> {
        match model {
            HttpFilter::Alpn(alpn) => Some(Self::Alpn(AlpnOverride::new(alpn))),
            HttpFilter::PeerMetadata(_)
            | HttpFilter::GrpcStats
            | HttpFilter::Fault
            | HttpFilter::Cors
            | HttpFilter::Stats(_)
            | HttpFilter::Router => None,
        }
    }

    /// Sees a request.
    ///
    /// # Errors
    /// The reply, if the request goes no further.
    pub(super) fn request<'a>(
        &'a self,
        exchange: &Exchange,
        _headers: &mut HeaderMap,
        choices: &mut Choices<'a>,
    ) -> Result<(), LocalReply> {
        match self {
            Self::Alpn(alpn) => choices.alpn = alpn.for_version(exchange.version()),
        }
        Ok(())
    }

    /// Sees a response.
    pub(super) fn response(&self, _exchange: &Exchange, _headers: &mut HeaderMap) {
        match self {
            Self::Alpn(_) => {}
        }
    }
}
