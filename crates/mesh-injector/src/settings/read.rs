//! Settings from the texts that an installation keeps: the keys `config` and `values` of the ConfigMap
//! `istio-sidecar-injector`, and the key `mesh` of the ConfigMap `istio`.
//!
//! Field names are Istio's. What is not executed here is listed, never dropped in silence.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use mesh_api::k8s::apimachinery::pkg::apis::meta::v1::LabelSelector;
use mesh_api::mesh_config::{Invalid, MeshConfig, Read, over};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Images, Policy, Resources, Settings};
use crate::custom::{SIDECAR, Templates};
use crate::json;

/// The texts; an empty one is all defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Texts {
    /// Policy, selectors, templates (`config`), in YAML.
    pub config: String,
    /// Values of the installation (`values`), in JSON or YAML.
    pub values: String,
    /// `MeshConfig` (`mesh`), in YAML.
    pub mesh: String,
}

/// A text that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {text} cannot be read")]
pub struct Unreadable {
    /// Which.
    pub text: &'static str,
    /// Why.
    #[source]
    pub source: Invalid,
}

impl Settings {
    /// Reads the settings; [`Read::unknown`] lists what has no effect.
    ///
    /// # Errors
    /// The first text that cannot be read.
    pub fn read(texts: &Texts) -> Result<Read<Self>, Unreadable> {
        let mut unknown = Vec::new();
        let config: Config = part("injection config", &texts.config, &mut unknown)?;
        let values: Values = part("values", &texts.values, &mut unknown)?;
        let mesh: MeshConfig = part("mesh config", &texts.mesh, &mut unknown)?;
        let templates = templates(&config, &mut unknown)?;
        // A value that only templates read has an effect, if one names it.
        unknown.retain(|field| {
            match field
                .strip_prefix("values: ")
                .and_then(|path| path.rsplit('.').next())
            {
                Some(name) => !config
                    .templates
                    .values()
                    .any(|text| text.contains(&format!(".{name}"))),
                None => true,
            }
        });
        let shown = over(&json::to_json(&values), &texts.values);
        let shown = shown.map_err(|source| Unreadable {
            text: "values",
            source,
        })?;
        Ok(Read {
            value: Settings {
                templates,
                values: Arc::new(shown.value),
                ..compose(config, values, mesh)
            },
            unknown,
        })
    }
}

/// The values of an installation that sets none.
pub(super) fn default_values() -> Arc<Value> {
    static DEFAULTS: LazyLock<Arc<Value>> =
        LazyLock::new(|| Arc::new(json::to_json(&Values::default())));
    DEFAULTS.clone()
}

fn templates(config: &Config, unknown: &mut Vec<String>) -> Result<Templates, Unreadable> {
    const TEXT: &str = "injection config";
    if config.templates.contains_key(SIDECAR) {
        unknown.push(format!(
            "{TEXT}: templates.{SIDECAR} (this template is built in)"
        ));
    }
    let defaults = config.default_templates.clone();
    Templates::read(&config.templates, config.aliases.clone(), defaults).map_err(|unusable| {
        Unreadable {
            text: TEXT,
            source: Invalid::Field {
                path: unusable.path,
                message: unusable.message,
            },
        }
    })
}

fn part<T: Serialize + for<'a> Deserialize<'a> + Default>(
    text: &'static str,
    written: &str,
    unknown: &mut Vec<String>,
) -> Result<T, Unreadable> {
    let read = over(&T::default(), written).map_err(|source| Unreadable { text, source })?;
    unknown.extend(read.unknown.iter().map(|field| format!("{text}: {field}")));
    Ok(read.value)
}

fn compose(config: Config, values: Values, mut mesh: MeshConfig) -> Settings {
    let defaults = Settings::default();
    let Global { proxy, .. } = &values.global;
    mesh.default_config.hold_application_until_proxy_starts |=
        proxy.hold_application_until_proxy_starts;
    let or = |text: &str, default: String| match text {
        "" => default,
        text => text.to_owned(),
    };
    Settings {
        images: values.global.images(defaults.images),
        image_pull_policy: some(&values.global.image_pull_policy),
        image_pull_secrets: values.global.image_pull_secrets.clone(),
        revision: or(&values.revision, defaults.revision),
        cluster_id: or(
            &values.global.multi_cluster.cluster_name,
            defaults.cluster_id,
        ),
        network: values.global.network.clone(),
        cluster_domain: or(&proxy.cluster_domain, defaults.cluster_domain),
        ca_address: some(&values.global.ca_address),
        token_audience: or(&values.global.sds.token.aud, defaults.token_audience),
        policy: config.policy.unwrap_or(proxy.auto_inject).into(),
        never_inject: config.never_inject_selector,
        always_inject: config.always_inject_selector,
        injected_annotations: config.injected_annotations,
        rewrite_app_probes: values.sidecar_injector_webhook.rewrite_app_http_probe,
        capture: proxy.capture(),
        resources: proxy.resources.clone().unwrap_or(defaults.resources),
        mesh,
        ..Settings::default()
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The key `config`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    policy: Option<Switch>,
    never_inject_selector: Vec<LabelSelector>,
    always_inject_selector: Vec<LabelSelector>,
    injected_annotations: BTreeMap<String, String>,
    templates: BTreeMap<String, String>,
    aliases: BTreeMap<String, Vec<String>>,
    default_templates: Vec<String>,
}

/// `enabled` or `disabled`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
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
struct Values {
    global: Global,
    revision: String,
    sidecar_injector_webhook: SidecarInjectorWebhook,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Global {
    hub: String,
    tag: String,
    image_pull_policy: String,
    image_pull_secrets: Vec<String>,
    network: String,
    ca_address: String,
    multi_cluster: MultiCluster,
    proxy: Proxy,
    #[serde(rename = "proxy_init")]
    proxy_init: ProxyInit,
    sds: Sds,
}

impl Global {
    /// `image` alone if it holds a path, else `hub/image:tag`; a pod's `istio-init` runs the proxy's image unless it is
    /// given one.
    fn images(&self, defaults: Images) -> Images {
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
struct MultiCluster {
    cluster_name: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Sds {
    token: Token,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Token {
    aud: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct ProxyInit {
    image: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Proxy {
    image: String,
    auto_inject: Switch,
    cluster_domain: String,
    hold_application_until_proxy_starts: bool,
    #[serde(rename = "includeIPRanges")]
    include_ip_ranges: String,
    #[serde(rename = "excludeIPRanges")]
    exclude_ip_ranges: String,
    include_inbound_ports: String,
    exclude_inbound_ports: String,
    include_outbound_ports: String,
    exclude_outbound_ports: String,
    exclude_interfaces: String,
    resources: Option<Resources>,
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
        }
    }
}

impl Proxy {
    fn capture(&self) -> super::Capture {
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
struct SidecarInjectorWebhook {
    #[serde(rename = "rewriteAppHTTPProbe")]
    rewrite_app_http_probe: bool,
}

impl Default for SidecarInjectorWebhook {
    fn default() -> Self {
        Self {
            rewrite_app_http_probe: true,
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
            requests: BTreeMap<String, String>,
            limits: BTreeMap<String, String>,
        }
        let Written { requests, limits } = Written::deserialize(deserializer)?;
        Ok(Self { requests, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str, values: &str, mesh: &str) -> Result<Read<Settings>, Unreadable> {
        Settings::read(&Texts {
            config: config.into(),
            values: values.into(),
            mesh: mesh.into(),
        })
    }

    #[test]
    fn empty_texts_are_the_defaults() {
        let read = read("", "", "").unwrap();
        assert_eq!(read.value, Settings::default());
        assert_eq!(read.unknown, [""; 0]);
    }

    #[test]
    fn values_are_istios() {
        let config = "policy: disabled\nneverInjectSelector:\n- matchLabels: {app: a}\n";
        let values = r#"{"global": {"hub": "reg/x", "tag": "v2", "imagePullPolicy": "Never", "network": "n1",
            "proxy": {"excludeIPRanges": "10.0.0.0/8", "holdApplicationUntilProxyStarts": true,
                      "resources": {"requests": {"cpu": "1"}}, "tracer": "none"}},
            "revision": "canary", "sidecarInjectorWebhook": {"rewriteAppHTTPProbe": false}}"#;
        let read = read(config, values, "trustDomain: td\n").unwrap();
        let settings = read.value;
        assert_eq!(settings.policy, Policy::Disabled);
        assert_eq!(settings.never_inject.len(), 1);
        assert_eq!(settings.images.proxy, "reg/x/mesh-proxy:v2");
        assert_eq!(settings.images.init, "reg/x/mesh-proxy:v2");
        assert_eq!(settings.image_pull_policy.as_deref(), Some("Never"));
        assert_eq!(settings.capture.exclude_outbound_ip_ranges, "10.0.0.0/8");
        assert_eq!(settings.capture.include_outbound_ip_ranges, "*");
        assert_eq!(settings.resources.requests["cpu"], "1");
        assert!(settings.resources.limits.is_empty());
        assert!(!settings.rewrite_app_probes);
        assert!(
            settings
                .mesh
                .default_config
                .hold_application_until_proxy_starts
        );
        assert_eq!(settings.mesh.trust_domain, "td");
        assert_eq!(settings.revision, "canary");
        assert_eq!(read.unknown, ["values: global.proxy.tracer"]);
    }

    #[test]
    fn an_image_with_a_path_stands_for_itself() {
        let values = r#"{"global": {"hub": "reg", "proxy": {"image": "other/p:1"}, "proxy_init": {"image": "init"}}}"#;
        let images = read("", values, "").unwrap().value.images;
        assert_eq!(images.proxy, "other/p:1");
        assert_eq!(images.init, concat!("reg/init:", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = read("policy: maybe", "", "").unwrap_err();
        assert_eq!(error.to_string(), "the injection config cannot be read");
        assert!(error.source.to_string().contains("policy"), "{error:?}");
        assert!(read("", "{", "").is_err());
        assert!(read("", "", "- x").is_err());
    }
}
