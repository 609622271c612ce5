//! A discovery request of either protocol.

use crate::pb::{
    envoy::{
        config::core::v3::Node,
        service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest},
    },
    google::rpc::Status,
};

/// Which of the two protocols a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// State of the world, `StreamAggregatedResources`.
    Sotw,
    /// Incremental, `DeltaAggregatedResources`.
    Delta,
}

/// A request as it travels.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Of the state-of-the-world protocol.
    Sotw(DiscoveryRequest),
    /// Of the delta protocol.
    Delta(DeltaDiscoveryRequest),
}

impl Request {
    /// Who asks. Only the first request of a stream must say.
    pub fn node(&self) -> Option<&Node> {
        match self {
            Self::Sotw(request) => request.node.as_ref(),
            Self::Delta(request) => request.node.as_ref(),
        }
    }

    /// What type it is about.
    pub fn type_url(&self) -> &str {
        match self {
            Self::Sotw(request) => &request.type_url,
            Self::Delta(request) => &request.type_url,
        }
    }

    /// The nonce of the response that it answers, or empty.
    pub fn nonce(&self) -> &str {
        match self {
            Self::Sotw(request) => &request.response_nonce,
            Self::Delta(request) => &request.response_nonce,
        }
    }

    /// Why the response was refused. Set in a NACK and nowhere else.
    pub fn error(&self) -> Option<&Status> {
        match self {
            Self::Sotw(request) => request.error_detail.as_ref(),
            Self::Delta(request) => request.error_detail.as_ref(),
        }
    }
}

impl From<DiscoveryRequest> for Request {
    fn from(request: DiscoveryRequest) -> Self {
        Self::Sotw(request)
    }
}

impl From<DeltaDiscoveryRequest> for Request {
    fn from(request: DeltaDiscoveryRequest) -> Self {
        Self::Delta(request)
    }
}
