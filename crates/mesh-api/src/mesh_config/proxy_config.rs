//! Settings of one proxy.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::duration;
use super::read::{self, Invalid, Read};

/// The part of Istio's `ProxyConfig` that this version executes.
///
/// It is set for the mesh in `defaultConfig`, changed for a pod by the annotation `proxy.istio.io/config`, and reaches
/// the proxy in the variable `PROXY_CONFIG`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyConfig {
    /// Address of the control plane, `host:port`.
    pub discovery_address: String,
    /// Number of worker threads; 0 for one a core, `None` to follow the CPU limit.
    pub concurrency: Option<u32>,
    /// How long connections are given to end when a listener drains.
    #[serde(with = "duration")]
    pub drain_duration: Duration,
    /// How long the proxy goes on after it was told to stop.
    #[serde(with = "duration")]
    pub termination_drain_duration: Duration,
    /// Port of the agent's endpoints; 0 for none.
    pub status_port: u16,
    /// Port of the admin interface on loopback.
    pub proxy_admin_port: u16,
    /// Start the proxy first, and the application only when the proxy is ready.
    pub hold_application_until_proxy_starts: bool,
    /// Environment variables for the proxy.
    pub proxy_metadata: BTreeMap<String, String>,
    /// How traffic is captured.
    pub interception_mode: InterceptionMode,
    /// Name of the mesh; empty to use the trust domain.
    pub mesh_id: String,
}

/// How a pod's traffic reaches its proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InterceptionMode {
    /// By iptables' REDIRECT.
    #[default]
    Redirect,
    /// Not captured: the application addresses the proxy itself.
    None,
}

impl InterceptionMode {
    /// The name in configuration, flags and metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "REDIRECT",
            Self::None => "NONE",
        }
    }
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            discovery_address: "istiod.istio-system.svc:15012".into(),
            concurrency: None,
            drain_duration: Duration::from_secs(45),
            termination_drain_duration: Duration::from_secs(5),
            status_port: mesh_model::port::STATUS,
            proxy_admin_port: mesh_model::port::ADMIN,
            hold_application_until_proxy_starts: false,
            proxy_metadata: BTreeMap::new(),
            interception_mode: InterceptionMode::Redirect,
            mesh_id: String::new(),
        }
    }
}

impl ProxyConfig {
    /// This configuration changed by `text`, YAML or JSON of the fields that differ; entries of `proxyMetadata` are
    /// added to those that there are.
    ///
    /// # Errors
    /// If the text is not YAML, or a field holds what its type cannot.
    pub fn overlay(&self, text: &str) -> Result<Read<Self>, Invalid> {
        read::over(self, text)
    }

    /// The fields that differ from the defaults, in their JSON form; reading them again gives this configuration.
    #[must_use]
    pub fn non_default(&self) -> Map<String, Value> {
        let fields = |config: &Self| match serde_json::to_value(config) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let defaults = fields(&Self::default());
        fields(self)
            .into_iter()
            .filter(|(name, value)| defaults.get(name) != Some(value))
            .collect()
    }
}
