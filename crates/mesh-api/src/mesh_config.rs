//! Mesh-wide settings: the part of Istio's `MeshConfig` that this version executes.
//!
//! Field names, defaults and JSON forms are Istio's. A field that is not here is no error, because a configuration
//! written for Istio should load; it is listed in [`Read::unknown`], and whoever loads the settings shows that list.

mod duration;
mod proxy_config;
mod read;
mod selector;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use proxy_config::{InterceptionMode, ProxyConfig};
pub use read::{Invalid, Read, over};
pub use selector::{LabelSelector, Operator, Requirement};

/// Settings of the whole mesh, as in the key `mesh` of the ConfigMap `istio`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeshConfig {
    /// Trust domain of every identity of this mesh.
    pub trust_domain: String,
    /// Namespace whose policies hold for the whole mesh.
    pub root_namespace: String,
    /// File that proxies log requests to, such as `/dev/stdout`; empty for no log.
    pub access_log_file: String,
    /// Text or JSON.
    pub access_log_encoding: AccessLogEncoding,
    /// Envoy's format string; empty for Istio's default format.
    pub access_log_format: String,
    /// Settings of each proxy, unless a pod's annotation says otherwise.
    pub default_config: ProxyConfig,
    /// What happens to traffic for destinations that the mesh does not know.
    pub outbound_traffic_policy: OutboundTrafficPolicy,
    /// Use mutual TLS towards every endpoint that can take it.
    pub enable_auto_mtls: bool,
    /// Longest wait for the first bytes of a connection whose protocol is to be detected; zero waits for ever.
    #[serde(with = "duration")]
    pub protocol_detection_timeout: Duration,
    /// Longest time to establish a TCP connection to an endpoint.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Serve the application's metrics together with the proxy's.
    pub enable_prometheus_merge: bool,
    /// Namespaces that the mesh reads: those that one of the selectors picks by their labels; all if there is no selector.
    pub discovery_selectors: Vec<LabelSelector>,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            trust_domain: "cluster.local".into(),
            root_namespace: "istio-system".into(),
            access_log_file: String::new(),
            access_log_encoding: AccessLogEncoding::Text,
            access_log_format: String::new(),
            default_config: ProxyConfig::default(),
            outbound_traffic_policy: OutboundTrafficPolicy::default(),
            enable_auto_mtls: true,
            protocol_detection_timeout: Duration::ZERO,
            connect_timeout: Duration::from_secs(10),
            enable_prometheus_merge: true,
            discovery_selectors: Vec::new(),
        }
    }
}

impl MeshConfig {
    /// Reads settings from YAML or JSON; what is not set has its default. An empty text is all defaults.
    ///
    /// # Errors
    /// If the text is not YAML, or a field holds what its type cannot; the error names line and field.
    pub fn read(text: &str) -> Result<Read<Self>, Invalid> {
        let mut read = read::over(&Self::default(), text)?;
        let (config, none) = (&read.value.default_config, ProxyConfig::default());
        let unexecuted = config.unexecuted(&none);
        let unexecuted = unexecuted.map(|name| format!("defaultConfig.{name}"));
        read.unknown.extend(unexecuted.collect::<Vec<_>>());
        Ok(read)
    }
}

/// Form of an access log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AccessLogEncoding {
    /// One line of text after the format string.
    Text,
    /// One JSON object a line.
    Json,
}

/// See [`MeshConfig::outbound_traffic_policy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OutboundTrafficPolicy {
    /// The mode.
    pub mode: OutboundTrafficMode,
}

/// Mode of an outbound traffic policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundTrafficMode {
    /// Pass unknown destinations through.
    #[default]
    AllowAny,
    /// Refuse unknown destinations.
    RegistryOnly,
}

#[cfg(test)]
mod tests;
