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
    /// Fields that are not executed, as written. The proxy gets them and says so, too; another data plane may know them.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// How a pod's traffic reaches its proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InterceptionMode {
    /// By iptables' REDIRECT.
    #[default]
    Redirect,
    /// By iptables' TPROXY, which keeps the client's address. Read, so that whoever would get it can be told that it is
    /// not executed.
    Tproxy,
    /// Not captured: the application addresses the proxy itself.
    None,
}

impl InterceptionMode {
    /// The name in configuration, flags and metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "REDIRECT",
            Self::Tproxy => "TPROXY",
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
            other: BTreeMap::new(),
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
        let mut read = read::over(self, text)?;
        let unexecuted = read.value.unexecuted(self).map(str::to_owned);
        read.unknown.extend(unexecuted);
        Ok(read)
    }

    /// Names of the fields that are not executed and that `base` does not set alike.
    pub(super) fn unexecuted<'a>(&'a self, base: &'a Self) -> impl Iterator<Item = &'a str> {
        let differs = |(name, value): &(&String, &Value)| base.other.get(*name) != Some(value);
        let set = self.other.iter().filter(|(_, value)| !is_empty(value));
        set.filter(differs).map(|(name, _)| name.as_str())
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

/// What protobuf does not tell from a field that is absent.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
