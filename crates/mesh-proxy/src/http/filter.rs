//! What stands between a request's route and the router, in the order configured.
//!
//! Filters are an enum, run in order over the request and in reverse over the response. What is configured without a
//! policy of its own (fault, CORS) has nothing to do, and metrics are told when the exchange ends; neither is here.

mod alpn;
mod peer_metadata;

pub(super) use alpn::AlpnOverride;
pub(super) use peer_metadata::OwnMetadata;

use super::{exchange::Exchange, local_reply::LocalReply};
use crate::telemetry::Workload;
use http::HeaderMap;
use mesh_model::http::HttpFilter;
use peer_metadata::PeerMetadata;

/// An HTTP filter, compiled.
#[derive(Debug)]
pub(super) enum Filter {
    /// What is offered upstream follows what is spoken there.
    Alpn(AlpnOverride),
    /// Peers tell each other who they are.
    PeerMetadata(Box<PeerMetadata>),
}

/// What filters may change of a request.
#[derive(Debug, Default)]
pub(super) struct Choices<'a> {
    /// ALPN protocols to offer upstream instead of the transport's own.
    pub(super) alpn: Option<&'a AlpnOverride>,
    /// What an endpoint of the mesh is told of us.
    pub(super) metadata: Option<&'a OwnMetadata>,
}

impl Filter {
    /// Compiles `model`; `None`: it has nothing to do on the path.
    pub(super) fn compile(model: &HttpFilter, own: &Workload) -> Option<Self> {
        match model {
            HttpFilter::Alpn(alpn) => Some(Self::Alpn(AlpnOverride::new(alpn))),
            HttpFilter::PeerMetadata(metadata) => {
                let filter = PeerMetadata::new(metadata, own);
                Some(Self::PeerMetadata(Box::new(filter)))
            }
            HttpFilter::GrpcStats
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
        headers: &mut HeaderMap,
        choices: &mut Choices<'a>,
    ) -> Result<(), LocalReply> {
        match self {
            Self::Alpn(alpn) => choices.alpn = Some(alpn),
            Self::PeerMetadata(filter) => {
                if let Some(client) = filter.client(headers) {
                    exchange.met(client);
                }
                choices.metadata = filter.for_server();
            }
        }
        Ok(())
    }

    /// Sees a response.
    pub(super) fn response(&self, exchange: &Exchange, headers: &mut HeaderMap) {
        match self {
            Self::Alpn(_) => {}
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
