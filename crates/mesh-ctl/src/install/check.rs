//! Whether the programs that an installation starts would read what it gives them: a mistake is told now, with its key, and
//! not by a pod that does not start.

use std::collections::BTreeMap;

use mesh_api::mesh_config::{Invalid, Read, over};
use mesh_injector::{Settings, Unreadable};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manifest;
use super::options::Options;
use super::webhook::{self, Unstartable};

/// What an installation must not be made of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Mistake {
    /// A key, and what is wrong with its value.
    #[error("{0}")]
    Key(String),
    /// What the injector is started with.
    #[error("values.pilot.env, or injector.arguments")]
    Started(#[source] Unstartable),
}

impl From<Unreadable> for Mistake {
    fn from(error: Unreadable) -> Self {
        Self::key(place(error.text), &error.source)
    }
}

impl Mistake {
    fn key(prefix: &str, error: &Invalid) -> Self {
        Self::Key(match error {
            Invalid::Field { path, message } => format!("{prefix}.{path}: {message}"),
            other => format!("{prefix}: {other}"),
        })
    }
}

/// Reads `options` as the installed programs will; gives the keys that have no effect.
///
/// # Errors
/// The first mistake.
pub(crate) fn check(options: &Options, namespace: &str) -> Result<Vec<String>, Mistake> {
    let objects = manifest::objects(options, namespace);
    let read = Settings::read(&manifest::injection(options, namespace))?;
    webhook::started(injector(&objects)).map_err(Mistake::Started)?;
    let keys = read.unknown.iter().map(|key| match key.split_once(": ") {
        Some((text, key)) => format!("{}.{key}", place(text)),
        None => key.clone(),
    });
    let mut keys: Vec<_> = keys.collect();
    let own = own(&options.values).map_err(|error| Mistake::key("values", &error))?;
    keys.extend(own.into_iter().map(|key| format!("values.{key}")));
    Ok(keys)
}

/// Where the options have what the injector finds in one of its texts.
fn place(text: &str) -> &str {
    match text {
        "mesh config" => "meshConfig",
        "injection config" => "values.sidecarInjectorWebhook",
        other => other,
    }
}

/// The Deployment among `objects` whose pods inject.
pub(crate) fn injector(objects: &[Value]) -> &Value {
    let is_it = |object: &&Value| {
        object["kind"] == "Deployment"
            && object.pointer("/metadata/labels/app") == Some(&json!("sidecar-injector"))
    };
    objects.iter().find(is_it).unwrap_or(&Value::Null)
}

/// The part of `values` that the manifest carries out.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Own {
    pilot: Pilot,
    sidecar_injector_webhook: Webhook,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Pilot {
    env: BTreeMap<String, Scalar>,
}

/// What a variable may hold.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text, a number or a bool")]
enum Scalar {
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Webhook {
    enable_namespaces_by_default: bool,
    reinvocation_policy: Reinvocation,
    injection_path: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
enum Reinvocation {
    #[default]
    Never,
    IfNeeded,
}

fn own(values: &Value) -> Result<Vec<String>, Invalid> {
    let mut own = json!({"pilot": values["pilot"]});
    for option in manifest::WEBHOOK_OPTIONS {
        own["sidecarInjectorWebhook"][option] = values["sidecarInjectorWebhook"][option].clone();
    }
    let Read { value, unknown } = over(&Own::default(), &own.to_string())?;
    let path = &value.sidecar_injector_webhook.injection_path;
    let starts = path.is_empty() || path == "/inject" || path.starts_with("/inject/");
    let followed = webhook::follow(path, &mut Settings::default());
    let problem = match followed {
        _ if !starts => Some("it has to begin with /inject".to_owned()),
        followed => followed.err().map(|error| error.to_string()),
    };
    match problem {
        None => Ok(unknown),
        Some(message) => Err(Invalid::Field {
            path: "sidecarInjectorWebhook.injectionPath".into(),
            message,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(sets: &[&str]) -> Result<Vec<String>, String> {
        let set = |options: Options, typed: &&str| options.set(typed).expect("set");
        let options = sets.iter().fold(Options::default(), set);
        check(&options, "istio-system").map_err(|error| format!("{:#}", anyhow::Error::new(error)))
    }

    #[test]
    fn the_defaults_are_no_mistake() {
        assert_eq!(checked(&[]), Ok(Vec::new()));
    }

    #[test]
    fn a_mistake_is_named_by_its_key() {
        for (set, want) in [
            (
                "values.global.proxy.autoInject=perhaps",
                "values.global.proxy.autoInject: ",
            ),
            (
                "values.global.proxy.resources.limits.cpu=[]",
                "values.global.proxy.resources.limits: cpu: ",
            ),
            (
                "values.global.proxy=no",
                "values.global.proxy: invalid type",
            ),
            ("meshConfig.trustDomain={}", "meshConfig.trustDomain: "),
            ("meshConfig=[]", "meshConfig: expected fields"),
            (
                "values.pilot.env.ENABLE_NATIVE_SIDECARS=perhaps",
                "values.pilot.env, or injector.arguments: invalid value 'perhaps' for '--native-sidecars",
            ),
            (
                "injector.arguments=[\"--x\"]",
                "values.pilot.env, or injector.arguments: unexpected argument '--x'",
            ),
            (
                "values.pilot.env.A=[]",
                "values.pilot.env.A: expected a text",
            ),
            (
                "values.sidecarInjectorWebhook.enableNamespacesByDefault=yes",
                "values.sidecarInjectorWebhook.enableNamespacesByDefault: invalid type",
            ),
            (
                "values.sidecarInjectorWebhook.reinvocationPolicy=Maybe",
                "values.sidecarInjectorWebhook.reinvocationPolicy: unknown variant",
            ),
            (
                "values.sidecarInjectorWebhook.injectionPath=/inject/net",
                "values.sidecarInjectorWebhook.injectionPath: `net` has no value",
            ),
            (
                "values.sidecarInjectorWebhook.templates.mine={{ if }}",
                "values.sidecarInjectorWebhook.templates.mine: ",
            ),
            (
                "values.sidecarInjectorWebhook.injectionPath=/other",
                "values.sidecarInjectorWebhook.injectionPath: it has to begin with /inject",
            ),
        ] {
            let error = checked(&[set]).expect_err(set);
            assert!(error.starts_with(want), "{set}: {error}");
        }
    }

    #[test]
    fn what_has_no_effect_is_listed() {
        let sets = [
            "values.global.proxy.tracer=none",
            "values.pilot.autoscaleEnabled=false",
            "meshConfig.enableTracing=true",
            "values.pilot.env.PILOT_DEBOUNCE_AFTER=1s",
            "values.sidecarInjectorWebhook.rewriteAppHTTPProbe=false",
        ];
        let want = [
            "values.global.proxy.tracer",
            "meshConfig.enableTracing",
            "values.pilot.autoscaleEnabled",
        ];
        assert_eq!(checked(&sets), Ok(want.map(str::to_owned).to_vec()));
    }

    /// Variables of the proxies are texts, whatever they look like.
    #[test]
    fn metadata_of_proxies_are_texts() {
        let sets = [
            "meshConfig.defaultConfig.proxyMetadata.ISTIO_META_DNS_CAPTURE=true",
            "meshConfig.defaultConfig.proxyMetadata.COUNT=3",
            "meshConfig.defaultConfig.proxyMetadata.NAME=x",
        ];
        assert_eq!(checked(&sets), Ok(Vec::new()));
        let set = |options: Options, typed: &&str| options.set(typed).expect("set");
        let options = sets.iter().fold(Options::default(), set);
        let texts = manifest::injection(&options, "istio-system");
        let metadata = Settings::read(&texts).expect("read").value.mesh;
        let metadata = metadata.default_config.proxy_metadata;
        let of = |name: &str| metadata.get(name).map(String::as_str);
        assert_eq!(of("ISTIO_META_DNS_CAPTURE"), Some("true"));
        assert_eq!((of("COUNT"), of("NAME")), (Some("3"), Some("x")));
        let nested = "meshConfig.defaultConfig.proxyMetadata.A={}";
        let error = checked(&[nested]).expect_err("refused");
        assert!(
            error.starts_with("meshConfig.defaultConfig.proxyMetadata.A: "),
            "{error}"
        );
    }
}
