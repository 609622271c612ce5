//! Who a proxy is: the node id that it sends with its first xDS request, and what it can execute.

use std::{fmt, net::IpAddr, str::FromStr};

/// Kind of proxy, the first part of a node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyType {
    /// Beside an application.
    Sidecar,
    /// A gateway.
    Router,
}

/// Istio's node id: `<type>~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeId {
    /// Kind of proxy.
    pub proxy_type: ProxyType,
    /// Address of the pod.
    pub ip: IpAddr,
    /// Name of the pod.
    pub pod: String,
    /// Namespace of the pod.
    pub namespace: String,
    /// DNS domain of the proxy, `<namespace>.svc.<cluster domain>`.
    pub dns_domain: String,
}

/// Text that is no node id of Istio's form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node id `{0}` is not of the form <type>~<ip>~<pod>.<namespace>~<domain>")]
pub struct InvalidNodeId(pub String);

impl NodeId {
    /// `<pod>.<namespace>`, the name that tools print.
    pub fn pod_and_namespace(&self) -> String {
        format!("{}.{}", self.pod, self.namespace)
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split('~');
            let proxy_type = match parts.next()? {
                "sidecar" => ProxyType::Sidecar,
                "router" => ProxyType::Router,
                _ => return None,
            };
            let ip = parts.next()?.parse().ok()?;
            let (pod, namespace) = parts.next()?.rsplit_once('.')?;
            let dns_domain = parts.next()?;
            let whole = parts.next().is_none() && !pod.is_empty() && !namespace.is_empty();
            whole.then(|| Self {
                proxy_type,
                ip,
                pod: pod.into(),
                namespace: namespace.into(),
                dns_domain: dns_domain.into(),
            })
        };
        parse().ok_or_else(|| InvalidNodeId(text.into()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.proxy_type {
            ProxyType::Sidecar => "sidecar",
            ProxyType::Router => "router",
        };
        write!(
            f,
            "{kind}~{}~{}.{}~{}",
            self.ip, self.pod, self.namespace, self.dns_domain
        )
    }
}

/// Extensions that only some data planes execute. A proxy advertises them in `node.extensions`; the control plane serves
/// an extension only to a node that does, and they are part of what an encoded resource depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capabilities {
    /// `istio.metadata_exchange` as a network filter: peers swap metadata where `istio-peer-exchange` is negotiated.
    pub tcp_metadata_exchange: bool,
    /// `istio.metadata_exchange` as an HTTP filter (peer metadata headers).
    pub http_peer_metadata: bool,
    /// `istio.alpn`: the upstream ALPN follows the downstream protocol.
    pub alpn: bool,
    /// `istio.stats`: the `istio_*` metrics.
    pub stats: bool,
}

/// Names of the extensions in [`Capabilities`], as they stand in `node.extensions[].name`, with their category.
pub mod extension {
    /// Network filter and HTTP filter of the same name.
    pub const METADATA_EXCHANGE: &str = "istio.metadata_exchange";
    /// HTTP filter.
    pub const ALPN: &str = "istio.alpn";
    /// HTTP and network filter.
    pub const STATS: &str = "istio.stats";
    /// Category of network filters.
    pub const CATEGORY_NETWORK: &str = "envoy.filters.network";
    /// Category of HTTP filters.
    pub const CATEGORY_HTTP: &str = "envoy.filters.http";
    /// Category of filters on connections to upstreams.
    pub const CATEGORY_UPSTREAM_NETWORK: &str = "envoy.filters.upstream_network";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        let text = "sidecar~10.244.0.73~nginx-7c79c4bf97-7985c.test~test.svc.cluster.local";
        let id: NodeId = text.parse().expect("valid");
        assert_eq!(id.to_string(), text);
        assert_eq!(id.pod_and_namespace(), "nginx-7c79c4bf97-7985c.test");
    }

    #[test]
    fn refuses_other_forms() {
        for text in [
            "",
            "sidecar~x~a.b~c",
            "sidecar~10.0.0.1~ab~c",
            "sidecar~10.0.0.1~a.b~c~d",
            "envoy~10.0.0.1~a.b~c",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
    }
}
