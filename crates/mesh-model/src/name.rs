//! Names of the things that xDS moves, with Istio's grammar on top where there is one.
//!
//! A name is an opaque, cheaply cloned string, because another control plane may choose any. What Istio writes into a
//! cluster's name is read through [`ClusterName::parts`], never by splitting strings elsewhere.

use std::{borrow::Borrow, fmt, sync::Arc};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name from its text.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// Name of a cluster, such as `outbound|80||nginx.test.svc.cluster.local`.
    ClusterName
}
name! {
    /// Name of a listener, such as `virtualInbound` or `10.102.168.134_80`.
    ListenerName
}
name! {
    /// Name of a route configuration, such as `80` or `nginx.test.svc.cluster.local:80`.
    RouteName
}
name! {
    /// Name of a secret, such as `default` or `ROOTCA`.
    SecretName
}

/// The listener that takes all outbound traffic.
pub const VIRTUAL_OUTBOUND: &str = "virtualOutbound";
/// The listener that takes all inbound traffic.
pub const VIRTUAL_INBOUND: &str = "virtualInbound";
/// The cluster that sends nowhere.
pub const BLACK_HOLE_CLUSTER: &str = "BlackHoleCluster";
/// The cluster that sends to the original destination.
pub const PASSTHROUGH_CLUSTER: &str = "PassthroughCluster";
/// As [`PASSTHROUGH_CLUSTER`] for inbound IPv4 traffic to undeclared ports.
pub const INBOUND_PASSTHROUGH_CLUSTER_V4: &str = "InboundPassthroughClusterIpv4";
/// As [`INBOUND_PASSTHROUGH_CLUSTER_V4`], IPv6.
pub const INBOUND_PASSTHROUGH_CLUSTER_V6: &str = "InboundPassthroughClusterIpv6";
/// The static cluster of the agent's secret service.
pub const SDS_CLUSTER: &str = "sds-grpc";
/// The static cluster of the control plane.
pub const XDS_CLUSTER: &str = "xds-grpc";
/// The secret that holds the workload's certificate and key.
pub const DEFAULT_SECRET: &str = "default";
/// The secret that holds the trusted roots.
pub const ROOT_CA_SECRET: &str = "ROOTCA";

/// Which way traffic goes, seen from the proxy's pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// To the application.
    Inbound,
    /// From the application.
    Outbound,
}

impl Direction {
    /// Istio's word for it, as in cluster names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What Istio writes into a cluster's name: `<direction>|<port>|<subset>|<host>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterParts<'a> {
    /// Direction of the traffic.
    pub direction: Direction,
    /// Service port (outbound) or target port (inbound).
    pub port: u16,
    /// Subset of a `DestinationRule`; empty for none.
    pub subset: &'a str,
    /// Fully qualified host name; empty for inbound clusters.
    pub host: &'a str,
}

impl ClusterName {
    /// `outbound|<port>|<subset>|<host>`.
    pub fn outbound(port: u16, subset: &str, host: &str) -> Self {
        format!("outbound|{port}|{subset}|{host}").into()
    }

    /// `inbound|<port>||`; `port` is the target port.
    pub fn inbound(port: u16) -> Self {
        format!("inbound|{port}||").into()
    }

    /// The parts, if the name follows Istio's grammar.
    pub fn parts(&self) -> Option<ClusterParts<'_>> {
        let mut parts = self.0.split('|');
        let direction = match parts.next()? {
            "inbound" => Direction::Inbound,
            "outbound" => Direction::Outbound,
            _ => return None,
        };
        let port = parts.next()?.parse().ok()?;
        let (subset, host) = (parts.next()?, parts.next()?);
        parts.next().is_none().then_some(ClusterParts {
            direction,
            port,
            subset,
            host,
        })
    }

    /// The server name that clients send to an outbound cluster: `outbound_.<port>_.<subset>_.<host>`.
    pub fn sni(&self) -> Option<String> {
        let ClusterParts {
            direction,
            port,
            subset,
            host,
        } = self.parts()?;
        (direction == Direction::Outbound).then(|| format!("outbound_.{port}_.{subset}_.{host}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_names_follow_istio() {
        let name = ClusterName::outbound(80, "", "nginx.test.svc.cluster.local");
        assert_eq!(name.as_str(), "outbound|80||nginx.test.svc.cluster.local");
        assert_eq!(
            name.sni().as_deref(),
            Some("outbound_.80_._.nginx.test.svc.cluster.local")
        );
        let parts = name.parts().expect("Istio's grammar");
        assert_eq!(
            (parts.port, parts.subset, parts.host),
            (80, "", "nginx.test.svc.cluster.local")
        );
        assert_eq!(
            ClusterName::inbound(80).parts().map(|p| p.direction),
            Some(Direction::Inbound)
        );
        assert_eq!(ClusterName::inbound(80).sni(), None);
    }

    #[test]
    fn foreign_cluster_names_have_no_parts() {
        for name in [
            "PassthroughCluster",
            "outbound|80|x",
            "outbound|80||a|b",
            "sideways|80||a",
            "inbound|http||",
        ] {
            assert_eq!(ClusterName::from(name).parts(), None, "{name}");
        }
    }
}
