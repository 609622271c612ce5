//! What can go wrong on the way out, and what it looks like from there.
//!
//! One value says what happened and whether the request provably never reached an application. The HTTP side turns it
//! into a reply (`http::local_reply`), the retry policy decides on it, the TCP proxy and the logs print it.

use crate::flag::ResponseFlags;
use std::sync::Arc;

/// Why a request, or a connection, did not get through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", kind.reason())]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// Why the transport failed, in one line; `%UPSTREAM_TRANSPORT_FAILURE_REASON%`.
    pub transport: Option<Arc<str>>,
    /// It is proven that no application has seen the request.
    pub unsent: bool,
}

/// What happened. Where the HTTP side says "reset reason", these are Envoy's `StreamResetReason`s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The cluster is not known.
    NoCluster,
    /// The cluster has no endpoint to send to.
    NoHealthyUpstream,
    /// A circuit breaker tripped.
    Overflow,
    /// We failed to connect for a reason of our own, such as a secret that has not arrived.
    LocalConnectionFailure,
    /// The endpoint could not be connected to, or TLS with it failed.
    RemoteConnectionFailure,
    /// The endpoint did not accept in time.
    ConnectionTimeout,
    /// The endpoint closed the connection before it answered.
    ConnectionTermination,
    /// The endpoint reset the stream.
    RemoteReset,
    /// The endpoint refused the stream.
    RemoteRefusedStream,
    /// We reset the stream.
    LocalReset,
    /// The endpoint broke the protocol.
    ProtocolError,
}

impl Failure {
    /// A failure before anything was sent.
    pub fn unsent(kind: FailureKind) -> Self {
        Self {
            kind,
            transport: None,
            unsent: true,
        }
    }

    /// A failure to connect, with the transport's own reason.
    pub fn connecting(kind: FailureKind, reason: impl Into<Arc<str>>) -> Self {
        Self {
            transport: Some(reason.into()),
            ..Self::unsent(kind)
        }
    }

    /// A failure after bytes of the request may have left.
    pub fn sent(kind: FailureKind) -> Self {
        Self {
            kind,
            transport: None,
            unsent: false,
        }
    }
}

impl FailureKind {
    /// Envoy's words for it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoCluster => "cluster not found",
            Self::NoHealthyUpstream => "no healthy upstream",
            Self::Overflow => "overflow",
            Self::LocalConnectionFailure => "local connection failure",
            Self::RemoteConnectionFailure => "remote connection failure",
            Self::ConnectionTimeout => "connection timeout",
            Self::ConnectionTermination => "connection termination",
            Self::RemoteReset => "remote reset",
            Self::RemoteRefusedStream => "remote refused stream reset",
            Self::LocalReset => "local reset",
            Self::ProtocolError => "protocol error",
        }
    }

    /// The response flag that it sets.
    pub fn flag(self) -> ResponseFlags {
        match self {
            Self::NoCluster => ResponseFlags::NO_CLUSTER_FOUND,
            Self::NoHealthyUpstream => ResponseFlags::NO_HEALTHY_UPSTREAM,
            Self::Overflow => ResponseFlags::UPSTREAM_OVERFLOW,
            Self::LocalConnectionFailure
            | Self::RemoteConnectionFailure
            | Self::ConnectionTimeout => ResponseFlags::UPSTREAM_CONNECTION_FAILURE,
            Self::ConnectionTermination => ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
            Self::RemoteReset | Self::RemoteRefusedStream => ResponseFlags::UPSTREAM_REMOTE_RESET,
            Self::LocalReset => ResponseFlags::LOCAL_RESET,
            Self::ProtocolError => ResponseFlags::UPSTREAM_PROTOCOL_ERROR,
        }
    }

    /// Whether it speaks against the endpoint: it is not our limit, our configuration or our client.
    pub fn is_of_the_host(self) -> bool {
        match self {
            Self::NoCluster
            | Self::NoHealthyUpstream
            | Self::Overflow
            | Self::LocalConnectionFailure
            | Self::LocalReset => false,
            Self::RemoteConnectionFailure
            | Self::ConnectionTimeout
            | Self::ConnectionTermination
            | Self::RemoteReset
            | Self::RemoteRefusedStream
            | Self::ProtocolError => true,
        }
    }

    /// Whether no connection could be made.
    pub fn is_connect_failure(self) -> bool {
        self.flag() == ResponseFlags::UPSTREAM_CONNECTION_FAILURE
    }
}
