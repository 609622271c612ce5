//! What the user decides about an installation: defaults, files (`-f`), single values (`--set`), in this order.

use mesh_api::mesh_config::{Invalid, Read, over};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// An installation. Names are those of `istioctl install --set`, as far as there is such a thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Options {
    /// Where images come from, such as `registry.example.org/mesh`; empty for the node's default.
    #[serde(deserialize_with = "text")]
    pub(crate) hub: String,
    /// Version of the images.
    #[serde(deserialize_with = "text")]
    pub(crate) tag: String,
    /// Name of the image that holds all programs.
    pub(crate) image: String,
    /// `Always`, `IfNotPresent` or `Never`; empty leaves it to Kubernetes.
    pub(crate) image_pull_policy: String,
    /// Revision of this control plane; empty for the default one.
    #[serde(deserialize_with = "text")]
    pub(crate) revision: String,
    /// Further names of this revision that namespaces may be labelled with.
    pub(crate) tags: Vec<String>,
    /// Istio's MeshConfig.
    pub(crate) mesh_config: Value,
    /// Istio's values of injection.
    pub(crate) values: Value,
    /// The control plane.
    pub(crate) discovery: Component,
    /// The sidecar injector.
    pub(crate) injector: Component,
}

/// One part of the control plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Component {
    /// Number of its pods.
    pub(crate) replicas: u32,
    /// Requests and limits of its container.
    pub(crate) resources: Value,
    /// Further arguments.
    pub(crate) arguments: Vec<String>,
}

impl Default for Component {
    fn default() -> Self {
        Self {
            replicas: 2,
            resources: serde_json::json!({"requests": {"cpu": "100m", "memory": "128Mi"}}),
            arguments: Vec::new(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hub: String::new(),
            tag: env!("CARGO_PKG_VERSION").into(),
            image: "mesh-proxy".into(),
            image_pull_policy: String::new(),
            revision: String::new(),
            tags: Vec::new(),
            mesh_config: Value::Object(Map::new()),
            values: Value::Object(Map::new()),
            discovery: Component::default(),
            injector: Component::default(),
        }
    }
}

/// `tag: 1.0` is a number to YAML.
fn text<'a, D: Deserializer<'a>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    })
}

/// A `--set` that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("--set {typed}: {why}")]
pub(crate) struct InvalidSet {
    typed: String,
    why: String,
}

impl Options {
    /// These options with those of a file over them: an `IstioOperator`, or only its `spec`.
    ///
    /// # Errors
    /// If it is not YAML, or a field holds what it cannot.
    pub(crate) fn file(&self, text: &str) -> Result<Read<Self>, Invalid> {
        let plain: Read<Value> = over(&Value::Object(Map::new()), text)?;
        match plain.value.get("spec") {
            Some(spec) => over(self, &spec.to_string()),
            None => over(self, text),
        }
    }

    /// These options with `key.of.a.field=value` over them. Values are JSON where they are valid as such, else text.
    ///
    /// # Errors
    /// If there is no such field, or it holds something else.
    pub(crate) fn set(&self, typed: &str) -> Result<Self, InvalidSet> {
        let invalid = |why: String| InvalidSet {
            typed: typed.to_owned(),
            why,
        };
        let (path, value) = typed
            .split_once('=')
            .filter(|(path, _)| !path.is_empty() && path.split('.').all(|key| !key.is_empty()))
            .ok_or_else(|| invalid("not of the form field.of.field=value".into()))?;
        // As a number the version 1.10 would be 1.1.
        let is_as_typed = |read: &Value| !read.is_number() || format!("{read}") == value;
        let read = serde_json::from_str(value).ok().filter(is_as_typed);
        let value = read.unwrap_or_else(|| Value::String(value.to_owned()));
        let nested = path.rsplit('.').fold(value, |inner, key| {
            Value::Object(Map::from_iter([(key.to_owned(), inner)]))
        });
        let read = over(self, &nested.to_string()).map_err(|error| invalid(error.to_string()))?;
        match read.unknown.first() {
            Some(field) => Err(invalid(format!("there is no field `{field}`"))),
            None => Ok(read.value),
        }
    }

    /// The revision that webhooks answer to.
    pub(crate) fn revision(&self) -> &str {
        match self.revision.as_str() {
            "" => "default",
            revision => revision,
        }
    }

    /// What follows the names of objects: nothing for the default revision.
    pub(crate) fn suffix(&self) -> String {
        match self.revision() {
            "default" => String::new(),
            revision => format!("-{revision}"),
        }
    }

    /// The image of all programs.
    pub(crate) fn image(&self) -> String {
        match (self.image.contains(['/', ':']), self.hub.as_str()) {
            (true, _) => self.image.clone(),
            (false, "") => format!("{}:{}", self.image, self.tag),
            (false, hub) => format!("{hub}/{}:{}", self.image, self.tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_values_are_set() {
        let options = Options::default();
        let options = options.set("hub=reg.example.org/m").unwrap();
        let options = options.set("tag=1.10").unwrap();
        assert_eq!(options.image(), "reg.example.org/m/mesh-proxy:1.10");
        let options = options.set("discovery.replicas=1").unwrap();
        assert_eq!(options.discovery.replicas, 1);
        let options = options.set("meshConfig.accessLogFile=/dev/stdout").unwrap();
        let options = options.set("values.global.proxy.holdApplicationUntilProxyStarts=true");
        let options = options.unwrap();
        assert_eq!(options.mesh_config["accessLogFile"], "/dev/stdout");
        assert_eq!(
            options.values["global"]["proxy"]["holdApplicationUntilProxyStarts"],
            true
        );
        assert_eq!(options.set("revision=7").unwrap().suffix(), "-7");
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        for typed in ["x", "=1", "a..b=1", "nothing=1", "discovery.replicas=many"] {
            assert!(Options::default().set(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn an_operators_file_is_taken() {
        let file = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  hub: h\n  profile: demo\n";
        let read = Options::default().file(file).unwrap();
        assert_eq!(read.value.hub, "h");
        assert_eq!(read.unknown, ["profile"]);
        assert_eq!(
            Options::default().file("tag: 1.0\n").unwrap().value.tag,
            "1.0"
        );
        assert!(Options::default().file("tag: [").is_err());
    }
}
