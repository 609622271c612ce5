//! What is measured, and what does the work.

use serde::Serialize;
use std::fmt;

/// What does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
pub(crate) enum Subject {
    /// A plain Envoy as the sidecar.
    Envoy,
    /// Our proxy as the sidecar.
    MeshProxy,
    /// No sidecar: what load and backend can do at most.
    #[value(skip)]
    Direct,
}

impl Subject {
    /// Those that are compared.
    pub(crate) const SIDECARS: [Self; 2] = [Self::Envoy, Self::MeshProxy];
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Envoy => "Envoy",
            Self::MeshProxy => "mesh-proxy",
            Self::Direct => "no proxy",
        })
    }
}

/// Way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Path {
    /// The client's sidecar, then a backend without one.
    Hop,
    /// The client's sidecar, mutual TLS, the server's sidecar, the backend.
    Pair,
}

/// What is spoken, from end to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Protocol {
    /// HTTP/1.1 with connections kept alive.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

impl Protocol {
    /// Port of the Services.
    pub(crate) fn service_port(self) -> u16 {
        match self {
            Self::Http1 => 80,
            Self::Http2 => 81,
        }
    }

    /// Port of the backends.
    pub(crate) fn backend_port(self) -> u16 {
        match self {
            Self::Http1 => 8080,
            Self::Http2 => 8081,
        }
    }
}

/// One job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Job {
    /// Way of a request.
    pub(crate) path: Path,
    /// What is spoken.
    pub(crate) protocol: Protocol,
}

impl Job {
    /// All jobs.
    pub(crate) const ALL: [Self; 4] = [
        Self::new(Path::Hop, Protocol::Http1),
        Self::new(Path::Hop, Protocol::Http2),
        Self::new(Path::Pair, Protocol::Http1),
        Self::new(Path::Pair, Protocol::Http2),
    ];

    const fn new(path: Path, protocol: Protocol) -> Self {
        Self { path, protocol }
    }

    /// Whether it is also done without a sidecar. Without one a pair is no other job than a hop.
    pub(crate) fn has_bare_path(self) -> bool {
        self.path == Path::Hop
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path {
            Path::Hop => "one hop",
            Path::Pair => "mTLS pair",
        };
        let protocol = match self.protocol {
            Protocol::Http1 => "HTTP/1.1, 64 connections",
            Protocol::Http2 => "HTTP/2, 8 connections of 8 streams",
        };
        write!(f, "{path}, {protocol}")
    }
}
