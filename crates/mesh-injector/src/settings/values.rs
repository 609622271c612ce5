//! The key `values`: what the installation says, under Istio's names.

use std::collections::BTreeMap;

use mesh_api::k8s::api::core::v1::Lifecycle;
use serde::{Deserialize, Serialize};

use super::text::{text, texts};
use super::{Images, Policy, ProxyContainer, ProxyUser, Readiness, Resources};

/// `enabled` or `disabled`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Switch {
    #[default]
    Enabled,
    Disabled,
}

impl From<Switch> for Policy {
    fn from(switch: Switch) -> Self {
        match switch {
            Switch::Enabled => Self::Enabled,
            Switch::Disabled => Self::Disabled,
        }
    }
}

/// The key `values`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Values {
    pub(super) global: Global,
    #[serde(deserialize_with = "text")]
    pub(super) revision: String,
    pub(super) sidecar_injector_webhook: SidecarInjectorWebhook,
    #[serde(rename = "istio_cni")]
    pub(super) istio_cni: Cni,
    pub(super) pilot: Pilot,
}

/// Whether a node's CNI plugin sets the rules of capture; older installations say it in `istio_cni`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Cni {
    pub(super) enabled: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pilot {
    pub(super) cni: Cni,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Global {
    #[serde(deserialize_with = "text")]
    pub(super) hub: String,
    #[serde(deserialize_with = "text")]
    pub(super) tag: String,
    #[serde(deserialize_with = "text")]
    pub(super) image_pull_policy: String,
    pub(super) image_pull_secrets: Vec<String>,
    #[serde(deserialize_with = "text")]
    pub(super) network: String,
    #[serde(deserialize_with = "text")]
    pub(super) ca_address: String,
    pub(super) multi_cluster: MultiCluster,
    pub(super) proxy: Proxy,
    #[serde(rename = "proxy_init")]
    pub(super) proxy_init: ProxyInit,
    pub(super) sds: Sds,
    #[serde(rename = "meshID", deserialize_with = "text")]
    pub(super) mesh_id: String,
    pub(super) logging: Logging,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Logging {
    #[serde(deserialize_with = "text")]
    pub(super) level: String,
}

impl Global {
    /// The proxy's container; what is empty has its default.
    pub(super) fn container(&self) -> ProxyContainer {
        let defaults = ProxyContainer::default();
        let proxy = &self.proxy;
        let or = |text: &str, default: String| match text {
            "" => default,
            text => text.to_owned(),
        };
        ProxyContainer {
            log_level: or(&proxy.log_level, defaults.log_level),
            component_log_level: or(&proxy.component_log_level, defaults.component_log_level),
            agent_log_level: or(&self.logging.level, defaults.agent_log_level),
            readiness: Readiness {
                initial_delay_seconds: proxy.readiness_initial_delay_seconds,
                period_seconds: proxy.readiness_period_seconds,
                failure_threshold: proxy.readiness_failure_threshold,
            },
            startup_failures: proxy
                .startup_probe
                .enabled
                .then_some(proxy.startup_probe.failure_threshold),
            lifecycle: proxy
                .lifecycle
                .clone()
                .filter(|hooks| *hooks != Lifecycle::default()),
            privileged: proxy.privileged,
        }
    }

    /// `image` alone if it holds a path, else `hub/image:tag`; a pod's `istio-init` runs the proxy's image unless it is
    /// given one.
    pub(super) fn images(&self, defaults: Images) -> Images {
        let proxy = match self.image(&self.proxy.image) {
            Some(image) => image,
            None => match (self.hub.as_str(), self.tag.as_str()) {
                ("", "") => defaults.proxy,
                _ => self.image("mesh-proxy").unwrap_or(defaults.proxy),
            },
        };
        let init = self
            .image(&self.proxy_init.image)
            .unwrap_or_else(|| proxy.clone());
        Images { proxy, init }
    }

    fn image(&self, name: &str) -> Option<String> {
        let tag = match self.tag.as_str() {
            "" => env!("CARGO_PKG_VERSION"),
            tag => tag,
        };
        match (name, self.hub.as_str()) {
            ("", _) => None,
            (name, _) if name.contains(['/', ':']) => Some(name.to_owned()),
            (name, "") => Some(format!("{name}:{tag}")),
            (name, hub) => Some(format!("{hub}/{name}:{tag}")),
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MultiCluster {
    #[serde(deserialize_with = "text")]
    pub(super) cluster_name: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sds {
    pub(super) token: Token,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Token {
    #[serde(deserialize_with = "text")]
    pub(super) aud: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ProxyInit {
    #[serde(deserialize_with = "text")]
    pub(super) image: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Proxy {
    #[serde(deserialize_with = "text")]
    pub(super) image: String,
    pub(super) auto_inject: Switch,
    #[serde(deserialize_with = "text")]
    pub(super) cluster_domain: String,
    pub(super) hold_application_until_proxy_starts: bool,
    #[serde(rename = "includeIPRanges")]
    #[serde(deserialize_with = "text")]
    pub(super) include_ip_ranges: String,
    #[serde(rename = "excludeIPRanges")]
    #[serde(deserialize_with = "text")]
    pub(super) exclude_ip_ranges: String,
    #[serde(deserialize_with = "text")]
    pub(super) include_inbound_ports: String,
    #[serde(deserialize_with = "text")]
    pub(super) exclude_inbound_ports: String,
    #[serde(deserialize_with = "text")]
    pub(super) include_outbound_ports: String,
    #[serde(deserialize_with = "text")]
    pub(super) exclude_outbound_ports: String,
    #[serde(deserialize_with = "text")]
    pub(super) exclude_interfaces: String,
    pub(super) resources: Option<Resources>,
    #[serde(deserialize_with = "text")]
    pub(super) log_level: String,
    #[serde(deserialize_with = "text")]
    pub(super) component_log_level: String,
    pub(super) status_port: Option<u16>,
    pub(super) readiness_initial_delay_seconds: i32,
    pub(super) readiness_period_seconds: i32,
    pub(super) readiness_failure_threshold: i32,
    pub(super) startup_probe: StartupProbe,
    pub(super) lifecycle: Option<Lifecycle>,
    pub(super) privileged: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StartupProbe {
    pub(super) enabled: bool,
    pub(super) failure_threshold: i32,
}

impl Default for StartupProbe {
    fn default() -> Self {
        Self {
            enabled: true,
            failure_threshold: 600,
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            image: String::new(),
            auto_inject: Switch::Enabled,
            cluster_domain: String::new(),
            hold_application_until_proxy_starts: false,
            include_ip_ranges: "*".into(),
            exclude_ip_ranges: String::new(),
            include_inbound_ports: "*".into(),
            exclude_inbound_ports: String::new(),
            include_outbound_ports: String::new(),
            exclude_outbound_ports: String::new(),
            exclude_interfaces: String::new(),
            resources: None,
            log_level: String::new(),
            component_log_level: String::new(),
            status_port: None,
            readiness_initial_delay_seconds: 0,
            readiness_period_seconds: 15,
            readiness_failure_threshold: 4,
            startup_probe: StartupProbe::default(),
            lifecycle: None,
            privileged: false,
        }
    }
}

impl Proxy {
    pub(super) fn capture(&self) -> super::Capture {
        super::Capture {
            include_outbound_ip_ranges: self.include_ip_ranges.clone(),
            exclude_outbound_ip_ranges: self.exclude_ip_ranges.clone(),
            include_inbound_ports: self.include_inbound_ports.clone(),
            exclude_inbound_ports: self.exclude_inbound_ports.clone(),
            include_outbound_ports: self.include_outbound_ports.clone(),
            exclude_outbound_ports: self.exclude_outbound_ports.clone(),
            exclude_interfaces: self.exclude_interfaces.clone(),
            kubevirt_interfaces: String::new(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SidecarInjectorWebhook {
    #[serde(rename = "rewriteAppHTTPProbe")]
    pub(super) rewrite_app_http_probe: bool,
    /// Ours: `warn` or `refuse`.
    pub(super) proxy_user: ProxyUser,
}

impl Default for SidecarInjectorWebhook {
    fn default() -> Self {
        Self {
            rewrite_app_http_probe: true,
            proxy_user: ProxyUser::Warn,
        }
    }
}

/// An object's quantities, as in a container.
impl Serialize for Resources {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        BTreeMap::from([("requests", &self.requests), ("limits", &self.limits)])
            .serialize(serializer)
    }
}

impl<'a> Deserialize<'a> for Resources {
    fn deserialize<D: serde::Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Written {
            #[serde(deserialize_with = "texts")]
            requests: BTreeMap<String, String>,
            #[serde(deserialize_with = "texts")]
            limits: BTreeMap<String, String>,
        }
        let Written { requests, limits } = Written::deserialize(deserializer)?;
        Ok(Self { requests, limits })
    }
}
