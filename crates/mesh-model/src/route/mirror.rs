//! Copies of requests, for a cluster that answers nobody.

use crate::{ClusterName, matcher::Fraction};

/// A cluster that gets a copy of requests (Envoy `RequestMirrorPolicy`). What it answers is thrown away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The cluster.
    pub cluster: ClusterName,
    /// Share of requests; `None`: all.
    pub fraction: Option<Fraction>,
    /// `-shadow` is added to the host that is asked for, before its port.
    pub append_shadow_suffix: bool,
    /// Host in place of the request's; the suffix is not added to it.
    pub host: Option<String>,
}

impl Mirror {
    /// Copies of all requests go to `cluster`.
    pub fn to(cluster: ClusterName) -> Self {
        Self {
            cluster,
            fraction: None,
            append_shadow_suffix: true,
            host: None,
        }
    }
}
