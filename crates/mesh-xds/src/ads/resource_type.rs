//! The types of resources that travel over ADS, in the order in which they are pushed.

/// A type of resource.
///
/// The order is make before break: clusters and their endpoints exist before the listeners and routes that name them.
/// Removals go through it backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// CDS, `envoy.config.cluster.v3.Cluster`.
    Cluster,
    /// EDS, `envoy.config.endpoint.v3.ClusterLoadAssignment`.
    Endpoint,
    /// LDS, `envoy.config.listener.v3.Listener`.
    Listener,
    /// RDS, `envoy.config.route.v3.RouteConfiguration`.
    Route,
    /// SDS, `envoy.extensions.transport_sockets.tls.v3.Secret`.
    Secret,
    /// ECDS, `envoy.config.core.v3.TypedExtensionConfig`.
    ExtensionConfig,
    /// NDS, `istio.networking.nds.v1.NameTable`.
    NameTable,
    /// PCDS, `istio.mesh.v1alpha1.ProxyConfig`: trust bundles.
    ProxyConfig,
}

impl ResourceType {
    /// All types, in push order.
    pub const ALL: [Self; 8] = [
        Self::Cluster,
        Self::Endpoint,
        Self::Listener,
        Self::Route,
        Self::Secret,
        Self::ExtensionConfig,
        Self::NameTable,
        Self::ProxyConfig,
    ];

    /// The type URL on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::ExtensionConfig => {
                "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
            }
            Self::NameTable => "type.googleapis.com/istio.networking.nds.v1.NameTable",
            Self::ProxyConfig => "type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig",
        }
    }

    /// The type of a type URL, or `None` for one that we do not speak.
    pub fn from_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// The short name that tools and metrics print, such as `CDS`.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Cluster => "CDS",
            Self::Endpoint => "EDS",
            Self::Listener => "LDS",
            Self::Route => "RDS",
            Self::Secret => "SDS",
            Self::ExtensionConfig => "ECDS",
            Self::NameTable => "NDS",
            Self::ProxyConfig => "PCDS",
        }
    }

    /// Whether a first request without names asks for everything. Otherwise it asks for nothing.
    ///
    /// In the state-of-the-world protocol such a type is also sent whole, and what is missing from a response is gone.
    pub const fn is_wildcard(self) -> bool {
        match self {
            Self::Cluster | Self::Listener | Self::NameTable | Self::ProxyConfig => true,
            Self::Endpoint | Self::Route | Self::Secret | Self::ExtensionConfig => false,
        }
    }

    /// Whether a resource of this type carries its own name, in field 1 of its message.
    pub(super) const fn is_named(self) -> bool {
        !matches!(self, Self::NameTable | Self::ProxyConfig)
    }

    /// Whether a server ever removes a resource of this type by name.
    ///
    /// An extension configuration goes when nothing refers to it; Envoy would otherwise drop it under a listener that
    /// still drains (envoy#32823).
    pub(super) const fn is_removable(self) -> bool {
        !matches!(self, Self::ExtensionConfig)
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}
