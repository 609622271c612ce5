//! What a route does with a request.

use super::{HashPolicy, HeaderMutations, RetryPolicy};
use crate::ClusterName;
use std::time::Duration;

/// What a route does with the requests that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAction {
    /// Sends the request to a cluster.
    Forward(Forward),
    /// Answers by itself.
    DirectResponse(DirectResponse),
}

/// Sends requests to a cluster (Envoy `RouteAction`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where to.
    pub target: Target,
    /// How long the whole request may take, retries included; zero: for ever; `None`: Envoy's 15 s.
    pub timeout: Option<Duration>,
    /// Cap on the `grpc-timeout` header; zero: none; `None`: the header is not read (Envoy `max_grpc_timeout`).
    pub max_grpc_timeout: Option<Duration>,
    /// Limits on the stream (Envoy `max_stream_duration`).
    pub max_stream_duration: Option<MaxStreamDuration>,
    /// Retries.
    pub retry: Option<RetryPolicy>,
    /// What keeps requests together, where the cluster hashes; one after the other.
    pub hash: Vec<HashPolicy>,
}

impl Forward {
    /// Sends requests to `cluster` as Envoy does where nothing else is set.
    pub fn to(cluster: ClusterName) -> Self {
        Self {
            target: Target::Cluster(cluster),
            timeout: None,
            max_grpc_timeout: None,
            max_stream_duration: None,
            retry: None,
            hash: Vec::new(),
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
