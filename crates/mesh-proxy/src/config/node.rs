//! What the proxy says of itself with its first xDS request (Istio's node metadata).

use mesh_model::{
    annotation,
    env::{META_PREFIX, METAJSON_PREFIX},
    node::NodeId,
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, ffi::OsString, path::Path};

/// Who the proxy is.
#[derive(Clone, Debug)]
pub struct Node {
    /// Node id.
    pub id: NodeId,
    /// `node.cluster`: `<application>.<namespace>`.
    pub cluster: String,
    /// `node.metadata`.
    pub metadata: Map<String, Value>,
    /// Labels of the pod.
    pub labels: BTreeMap<String, String>,
}

impl Node {
    /// A text of the metadata; empty if it is not there.
    pub fn text(&self, key: &str) -> &str {
        self.metadata
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A label of the pod; empty if it is not there.
    pub fn label(&self, key: &str) -> &str {
        self.labels.get(key).map(String::as_str).unwrap_or_default()
    }
}

/// An environment as text. Variables that are not for us may hold any bytes.
pub fn texts(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (String, String)> {
    variables.filter_map(|(name, value)| {
        let value = value.to_string_lossy().into_owned();
        Some((name.into_string().ok()?, value))
    })
}

/// Metadata from `ISTIO_META_*` (texts) and `ISTIO_METAJSON_*` (JSON).
///
/// # Errors
/// Names the variables whose JSON can't be read.
pub(super) fn metadata_of(
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Map<String, Value>, Vec<String>> {
    let (mut metadata, mut errors) = (Map::new(), Vec::new());
    let mut sorted: Vec<_> = variables.collect();
    sorted.sort();
    for (name, value) in sorted {
        if let Some(key) = name.strip_prefix(METAJSON_PREFIX) {
            match serde_json::from_str(&value) {
                Ok(json) => drop(metadata.insert(key.to_owned(), json)),
                Err(error) => errors.push(format!("{name}: {error}")),
            }
        } else if let Some(key) = name.strip_prefix(META_PREFIX) {
            metadata.insert(key.to_owned(), Value::String(value));
        }
    }
    if errors.is_empty() {
        Ok(metadata)
    } else {
        Err(errors)
    }
}

/// A switch of the metadata, off if it is not there: the words that Go and mesh-init understand.
///
/// # Errors
/// If it is none of them.
pub(super) fn switch(metadata: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match metadata.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(value) => match value.as_str() {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            _ => Err(format!(
                "{META_PREFIX}{key}: {value} is neither true nor false"
            )),
        },
    }
}

/// Labels from the downward API's file: a line `key="value"` each, quoted as Go does. Without the file there are none.
///
/// # Errors
/// If the file is there but can't be read.
pub(super) fn labels_of(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let path = folder.join("labels");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let label = |line: &str| {
        let (key, quoted) = line.split_once('=')?;
        Some((key.to_owned(), serde_json::from_str(quoted).ok()?))
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            label(line).ok_or_else(|| format!("{}: `{line}` is not key=\"value\"", path.display()))
        })
        .collect()
}

/// Istio's `node.cluster`: the application, else the canonical name, else the pod.
pub(super) fn service_cluster(
    labels: &BTreeMap<String, String>,
    pod: &str,
    namespace: &str,
) -> String {
    let application = labels
        .get("app")
        .or_else(|| labels.get(annotation::CANONICAL_NAME));
    format!("{}.{namespace}", application.map_or(pod, String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_comes_from_both_kinds_of_variables() {
        let variables = [
            ("ISTIO_META_CLUSTER_ID", "Kubernetes"),
            ("ISTIO_METAJSON_X", r#"{"a":1}"#),
            ("HOME", "/"),
        ];
        let own = |v: &[(&str, &str)]| {
            v.iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<Vec<_>>()
        };
        let metadata = metadata_of(own(&variables).into_iter()).expect("valid");
        assert_eq!(
            Value::Object(metadata),
            serde_json::json!({"X": {"a": 1}, "CLUSTER_ID": "Kubernetes"})
        );
        let errors =
            metadata_of(own(&[("ISTIO_METAJSON_X", "{")]).into_iter()).expect_err("broken");
        assert!(errors[0].starts_with("ISTIO_METAJSON_X: "), "{errors:?}");
    }

    #[test]
    fn variables_of_others_may_hold_any_bytes() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = |b: &[u8]| OsString::from_vec(b.to_vec());
        let variables = [
            (bytes(b"\xff"), bytes(b"x")),
            (bytes(b"OTHER"), bytes(b"\xff")),
            (bytes(b"ISTIO_META_X"), bytes(b"y")),
        ];
        let metadata = metadata_of(texts(variables.into_iter())).expect("valid");
        assert_eq!(Value::Object(metadata), serde_json::json!({"X": "y"}));
    }

    #[test]
    fn labels_are_read_as_the_kubelet_writes_them() {
        let folder = tempfile::tempdir().expect("folder");
        assert!(labels_of(folder.path()).expect("no file").is_empty());
        std::fs::write(
            folder.path().join("labels"),
            "app=\"nginx\"\nquote=\"a\\\"b\"\n",
        )
        .expect("written");
        let labels = labels_of(folder.path()).expect("valid");
        assert_eq!(
            (labels["app"].as_str(), labels["quote"].as_str()),
            ("nginx", "a\"b")
        );
        std::fs::write(folder.path().join("labels"), "app=nginx").expect("written");
        assert!(
            labels_of(folder.path())
                .expect_err("unquoted")
                .contains("app=nginx")
        );
    }
}
