//! Volumes that a pod wants for its proxy: JSON in two annotations.

use mesh_api::k8s::api::core::v1::{Volume, VolumeMount};
use mesh_api::manifest::typed_value;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::template::volume_names;

/// The user's volumes for the proxy.
#[derive(Debug, Default)]
pub(crate) struct UserVolumes {
    /// What the pod gets.
    pub(crate) volumes: Vec<Volume>,
    /// Where it is in the proxy.
    pub(crate) mounts: Vec<VolumeMount>,
}

/// `{"name": {"secret": …}}`, or a list of whole volumes.
pub(super) fn volumes(text: &str) -> Result<Vec<Volume>, String> {
    let volumes: Vec<Volume> = items(text)?;
    let is_ours = |volume: &&Volume| volume_names().any(|name| name == volume.name);
    match volumes.iter().find(is_ours) {
        Some(volume) => Err(format!(
            "`{}` is the name of an injected volume",
            volume.name
        )),
        None => Ok(volumes),
    }
}

/// `{"name": {"mountPath": …}}`, or a list of whole mounts.
pub(super) fn mounts(text: &str) -> Result<Vec<VolumeMount>, String> {
    let mounts: Vec<VolumeMount> = items(text)?;
    match mounts.iter().find(|mount| mount.mount_path.is_empty()) {
        Some(mount) => Err(format!("the mount of `{}` has no mountPath", mount.name)),
        None => Ok(mounts),
    }
}

fn items<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    let written = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let items = match written {
        Value::Array(items) => items,
        Value::Object(by_name) => by_name.into_iter().map(named).collect(),
        other => return Err(format!("neither an object nor a list, but {other}")),
    };
    items.iter().map(item).collect()
}

fn named((name, mut item): (String, Value)) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.insert("name".to_owned(), name.into());
    }
    item
}

fn item<T: DeserializeOwned>(item: &Value) -> Result<T, String> {
    if item["name"].as_str().is_none_or(str::is_empty) {
        return Err(format!("{item} has no name"));
    }
    typed_value(item).map_err(|reason| format!("{item}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_taken() {
        for text in [
            r#"{"a": {"emptyDir": {}}}"#,
            r#"[{"name": "a", "emptyDir": {}}]"#,
        ] {
            let volumes = volumes(text).unwrap();
            assert_eq!((volumes.len(), &*volumes[0].name), (1, "a"));
            assert!(volumes[0].empty_dir.is_some());
        }
        let mounts = mounts(r#"{"a": {"mountPath": "/a", "readOnly": true}}"#).unwrap();
        assert_eq!(
            (&*mounts[0].mount_path, mounts[0].read_only),
            ("/a", Some(true))
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "x",
            "3",
            r#"[{"emptyDir": {}}]"#,
            r#"{"a": 3}"#,
            r#"{"a": {"emptyDir": 3}}"#,
            r#"{"istio-token": {"emptyDir": {}}}"#,
        ] {
            assert!(volumes(text).is_err(), "{text} was accepted");
        }
        assert!(mounts(r#"{"a": {}}"#).is_err(), "a mount without a path");
    }
}
