//! What one finished request, or one finished connection, left behind.
//!
//! The data path fills a record and hands it over once; the access log and the metrics only read it.

use crate::{connection::Connection, flag::ResponseFlags, policy::metadata::DynamicMetadata};
use http::{HeaderMap, Method, StatusCode, Version};
use mesh_model::cluster::ServiceRef;
use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Where traffic left to, if it did.
#[derive(Clone, Debug, Default)]
pub struct UpstreamRecord {
    /// Name of the cluster; `%UPSTREAM_CLUSTER_RAW%`.
    pub cluster: Option<Arc<str>>,
    /// The service that the cluster stands for.
    pub service: Option<Arc<ServiceRef>>,
    /// The endpoint; `%UPSTREAM_HOST%`.
    pub host: Option<SocketAddr>,
    /// Our address on that connection; `%UPSTREAM_LOCAL_ADDRESS%`.
    pub local: Option<SocketAddr>,
    /// Why the transport failed, if it did; `%UPSTREAM_TRANSPORT_FAILURE_REASON%`.
    pub transport_failure: Option<Arc<str>>,
    /// URI SAN of the endpoint's certificate, if mutual TLS was spoken.
    pub peer_principal: Option<Arc<str>>,
    /// The endpoint's workload, as the control plane describes it.
    pub workload: Option<Arc<Workload>>,
}

/// A workload in metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workload {
    /// Name of its Deployment or the like.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Canonical service.
    pub canonical_name: Arc<str>,
    /// Canonical revision.
    pub canonical_revision: Arc<str>,
    /// `app` label.
    pub app: Arc<str>,
    /// `version` label.
    pub version: Arc<str>,
    /// Cluster id.
    pub cluster: Arc<str>,
}

impl Workload {
    /// The workload that Istio's endpoint metadata names: `name;namespace;canonical name;canonical revision;cluster`.
    /// Parts that are missing stay empty.
    pub fn from_metadata(text: &str) -> Self {
        let mut parts = text.split(';').map(Arc::from);
        let mut next = || parts.next().unwrap_or_default();
        Self {
            name: next(),
            namespace: next(),
            canonical_name: next(),
            canonical_revision: next(),
            cluster: next(),
            app: Arc::default(),
            version: Arc::default(),
        }
    }
}

/// One finished HTTP request.
#[derive(Debug)]
pub struct RequestRecord<'a> {
    /// The connection it came in on.
    pub connection: &'a Connection,
    /// When its headers were complete.
    pub start: SystemTime,
    /// From then to the last byte of the response; `%DURATION%`.
    pub duration: Duration,
    /// Request method.
    pub method: &'a Method,
    /// Path as the client sent it (or `x-envoy-original-path`), with its query.
    pub path: &'a str,
    /// HTTP version of the client.
    pub version: Version,
    /// `:authority`, or `Host`.
    pub authority: &'a str,
    /// Request headers as they were sent upstream (or arrived, if nothing was).
    pub request_headers: &'a HeaderMap,
    /// Response headers as sent to the client, at least those that [`Observers`](super::Observers) look at.
    pub response_headers: Option<&'a HeaderMap>,
    /// Response status; `None` if none was sent.
    pub status: Option<StatusCode>,
    /// gRPC status, from headers or trailers.
    pub grpc_status: Option<u32>,
    /// The request is gRPC.
    pub is_grpc: bool,
    /// Response flags.
    pub flags: ResponseFlags,
    /// `%RESPONSE_CODE_DETAILS%`, such as `via_upstream`.
    pub details: Cow<'static, str>,
    /// Bytes of the request's body.
    pub bytes_received: u64,
    /// Bytes of the response's body.
    pub bytes_sent: u64,
    /// gRPC messages of the request and of the response, where they are counted.
    pub messages: Option<(u64, u64)>,
    /// Name of the route; `%ROUTE_NAME%`.
    pub route: Option<&'a str>,
    /// What filters wrote about it; `%DYNAMIC_METADATA%`.
    pub(crate) metadata: &'a DynamicMetadata,
    /// Where it left to.
    pub upstream: &'a UpstreamRecord,
    /// The peer's workload as its metadata headers tell (client's inbound, server's outbound).
    pub peer: Option<&'a Workload>,
}

/// One finished TCP connection.
#[derive(Debug)]
pub struct TcpRecord<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// When it was accepted.
    pub start: SystemTime,
    /// From then to its end.
    pub duration: Duration,
    /// Response flags.
    pub flags: ResponseFlags,
    /// `%RESPONSE_CODE_DETAILS%`.
    pub details: Option<Cow<'static, str>>,
    /// `%CONNECTION_TERMINATION_DETAILS%`.
    pub termination_details: Option<Cow<'static, str>>,
    /// Bytes from the client.
    pub bytes_received: u64,
    /// Bytes to the client.
    pub bytes_sent: u64,
    /// Where it left to.
    pub upstream: &'a UpstreamRecord,
    /// The peer's workload as metadata exchange tells.
    pub peer: Option<&'a Workload>,
}
