//! What a route does with a request.

use super::{
    HashPolicy, HeaderMutations, InternalRedirects, Mirror, Redirect, RetryPolicy, Rewrite,
};
use crate::ClusterName;
use std::time::Duration;

/// What a route does with the requests that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every route forwards")]
pub enum RouteAction {
    /// Sends the request to a cluster.
    Forward(Forward),
    /// Sends the client elsewhere.
    Redirect(Redirect),
    /// Answers by itself.
    DirectResponse(DirectResponse),
}

/// Sends requests to a cluster (Envoy `RouteAction`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where to.
    pub target: Target,
    /// Path and host that the server is asked for.
    pub rewrite: Rewrite,
    /// Who gets copies.
    pub mirrors: Vec<Mirror>,
    /// How long the whole request may take, retries included; zero: for ever; `None`: Envoy's 15 s.
    pub timeout: Option<Duration>,
    /// Cap on the `grpc-timeout` header; zero: none; `None`: the header is not read (Envoy `max_grpc_timeout`).
    pub max_grpc_timeout: Option<Duration>,
    /// Limits on the stream (Envoy `max_stream_duration`).
    pub max_stream_duration: Option<MaxStreamDuration>,
    /// How long the stream may be idle; zero: for ever; `None`: as long as the connection manager lets it.
    pub idle_timeout: Option<Duration>,
    /// Retries; `None`: those of the virtual host.
    pub retry: Option<RetryPolicy>,
    /// What keeps requests together, where the cluster hashes; one after the other.
    pub hash: Vec<HashPolicy>,
    /// Redirects that are followed here.
    pub internal_redirects: Option<InternalRedirects>,
}

impl Forward {
    /// Sends requests to `cluster` as Envoy does where nothing else is set.
    pub fn to(cluster: ClusterName) -> Self {
        Self {
            target: Target::Cluster(cluster),
            rewrite: Rewrite::default(),
            mirrors: Vec::new(),
            timeout: None,
            max_grpc_timeout: None,
            max_stream_duration: None,
            idle_timeout: None,
            retry: None,
            hash: Vec::new(),
            internal_redirects: None,
        }
    }
}

/// Where requests are sent (Envoy `cluster_specifier`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To one cluster.
    Cluster(ClusterName),
    /// To one of these, by their weights, whose sum is between 1 and `u32::MAX`.
    Weighted(Vec<WeightedCluster>),
}

/// One of several clusters (Envoy `ClusterWeight`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedCluster {
    /// Its name.
    pub name: ClusterName,
    /// Its share of the sum of all weights.
    pub weight: u32,
    /// What is changed of headers, before all other changes.
    pub headers: HeaderMutations,
}

/// Limits on a stream's life; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxStreamDuration {
    /// Longest life.
    pub max: Option<Duration>,
    /// Cap on the `grpc-timeout` header.
    pub grpc_timeout_header_max: Option<Duration>,
    /// Taken off the header's value, if that is longer: time that is needed on the way back.
    pub grpc_timeout_header_offset: Option<Duration>,
}

/// Answers without an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// HTTP status, 100 to 599.
    pub status: u16,
    /// Body; may be empty.
    pub body: Vec<u8>,
}

impl DirectResponse {
    /// An answer without a body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            body: Vec::new(),
        }
    }
}
