//! Settings from the texts that an installation keeps: the keys `config` and `values` of the ConfigMap
//! `istio-sidecar-injector`, and the key `mesh` of the ConfigMap `istio`.
//!
//! Field names are Istio's. What is not executed here is listed, never dropped in silence.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use mesh_api::k8s::apimachinery::pkg::apis::meta::v1::LabelSelector;
use mesh_api::mesh_config::{Invalid, MeshConfig, Read, over};
use mesh_model::port;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Settings;
use super::values::{Global, Switch, Values};
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
        let mesh = mesh(&texts.mesh, &mut unknown)?;
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

fn mesh(written: &str, unknown: &mut Vec<String>) -> Result<MeshConfig, Unreadable> {
    let text = "mesh config";
    let read = MeshConfig::read(written).map_err(|source| Unreadable { text, source })?;
    unknown.extend(read.unknown.iter().map(|field| format!("{text}: {field}")));
    Ok(read.value)
}

fn compose(config: Config, values: Values, mut mesh: MeshConfig) -> Settings {
    let defaults = Settings::default();
    let Global { proxy, .. } = &values.global;
    let base = &mut mesh.default_config;
    base.hold_application_until_proxy_starts |= proxy.hold_application_until_proxy_starts;
    // What MeshConfig says is nearer to the pod than what the installation does.
    if let Some(port) = proxy
        .status_port
        .filter(|_| base.status_port == port::STATUS)
    {
        base.status_port = port;
    }
    if base.mesh_id.is_empty() {
        base.mesh_id.clone_from(&values.global.mesh_id);
    }
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
        proxy: values.global.container(),
        proxy_user: values.sidecar_injector_webhook.proxy_user,
        cni: values.istio_cni.enabled || values.pilot.cni.enabled,
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

#[cfg(test)]
mod tests {
    use crate::{Policy, ProxyUser};

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
    fn the_proxys_container_is_set_by_values() {
        let values = r#"{"global": {"meshID": "m1", "logging": {"level": "default:debug"}, "proxy": {
            "logLevel": "info", "componentLogLevel": "misc:info", "statusPort": 15030, "readinessInitialDelaySeconds": 1,
            "readinessPeriodSeconds": 2, "readinessFailureThreshold": 3, "privileged": true,
            "startupProbe": {"enabled": false}, "lifecycle": {"preStop": {"sleep": {"seconds": 7}}}}},
            "sidecarInjectorWebhook": {"proxyUser": "refuse"}, "pilot": {"cni": {"enabled": true}}}"#;
        let read = read("", values, "").unwrap();
        assert_eq!(read.unknown, [""; 0]);
        let settings = read.value;
        let proxy = &settings.proxy;
        assert_eq!(
            [
                &proxy.log_level,
                &proxy.component_log_level,
                &proxy.agent_log_level
            ],
            ["info", "misc:info", "default:debug"]
        );
        let timing = proxy.readiness;
        let timing = [
            timing.initial_delay_seconds,
            timing.period_seconds,
            timing.failure_threshold,
        ];
        assert_eq!((timing, proxy.startup_failures), ([1, 2, 3], None));
        let hook = proxy
            .lifecycle
            .as_ref()
            .and_then(|hooks| hooks.pre_stop.as_ref());
        assert_eq!(
            hook.and_then(|hook| hook.sleep.as_ref())
                .map(|sleep| sleep.seconds),
            Some(7)
        );
        assert!(proxy.privileged && settings.cni);
        let config = &settings.mesh.default_config;
        assert_eq!((config.status_port, &*config.mesh_id), (15030, "m1"));
        assert_eq!(settings.proxy_user, ProxyUser::Refuse);
    }

    #[test]
    fn mesh_config_wins_over_values() {
        let values = r#"{"global": {"meshID": "m1", "proxy": {"statusPort": 15030}}, "istio_cni": {"enabled": true}}"#;
        let mesh = "defaultConfig: {statusPort: 15040, meshId: m2, interceptionMode: TPROXY}";
        let settings = read("", values, mesh).unwrap().value;
        let config = &settings.mesh.default_config;
        assert_eq!((config.status_port, &*config.mesh_id), (15040, "m2"));
        assert!(settings.cni);
    }

    #[test]
    fn numbers_are_taken_for_texts() {
        let values = "global:\n  hub: r\n  tag: 1.24\n  proxy:\n    includeInboundPorts: 80\n    resources:\n      limits: {cpu: 2}\n";
        let settings = read("", values, "").unwrap().value;
        assert_eq!(settings.images.proxy, "r/mesh-proxy:1.24");
        assert_eq!(settings.capture.include_inbound_ports, "80");
        assert_eq!(settings.resources.limits["cpu"], "2");
        let error = read("", "global: {tag: [1]}", "").unwrap_err();
        assert_eq!(
            error.source.to_string(),
            "global.tag: expected a text, found [1]"
        );
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
