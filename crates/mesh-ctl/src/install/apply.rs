//! Objects into a cluster, by server-side apply: what another owner has set and we do not, such as the caBundle of a
//! webhook, stays.

use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::Value;

use crate::fetch::{ClusterError, resource};

/// Under which our fields stand in `managedFields`.
const MANAGER: &str = "meshctl";

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is new.
    Created,
    /// It is different.
    Configured,
    /// It is as it was.
    Unchanged,
}

impl Change {
    /// In kubectl's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// An object's kind and name, to be shown.
pub(crate) fn name(object: &Value) -> String {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!("{}/{}", text("/kind"), text("/metadata/name"))
}

/// The way to objects of the kind, and in the namespace, of `object`.
pub(crate) fn api(client: &Client, object: &Value) -> Api<DynamicObject> {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, version) = text("/apiVersion")
        .split_once('/')
        .unwrap_or(("", text("/apiVersion")));
    let kind = text("/kind");
    let resource = resource(group, version, kind, &plural(kind));
    match text("/metadata/namespace") {
        "" => Api::all_with(client.clone(), &resource),
        namespace => Api::namespaced_with(client.clone(), namespace, &resource),
    }
}

/// Right for the kinds that we install.
fn plural(kind: &str) -> String {
    format!("{}s", kind.to_lowercase())
}

/// What is in the cluster under the name of `object`.
///
/// # Errors
/// If we may not see it.
pub(crate) async fn find(
    client: &Client,
    object: &Value,
) -> Result<Option<DynamicObject>, ClusterError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Ok(api(client, object).get_opt(name).await?)
}

/// Brings one object to the cluster, where `before` stands under its name. With `dry_run` the API server checks it and keeps
/// nothing.
///
/// # Errors
/// If the API server refuses it.
pub(crate) async fn apply(
    client: &Client,
    object: &Value,
    before: Option<&DynamicObject>,
    dry_run: bool,
) -> Result<Change, ClusterError> {
    let api = api(client, object);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let params = PatchParams {
        dry_run,
        ..PatchParams::apply(MANAGER).force()
    };
    let after = match api.patch(name, &params, &Patch::Apply(object)).await {
        // In a dry run the namespace may not be there yet, and with it nothing that it would hold.
        Err(kube::Error::Api(status)) if dry_run && status.code == 404 => {
            return Ok(Change::Created);
        }
        other => other?,
    };
    Ok(match before {
        None => Change::Created,
        Some(before) if same(before, &after) => Change::Unchanged,
        Some(_) => Change::Configured,
    })
}

/// A dry run gives no new version, so contents are compared.
fn same(before: &DynamicObject, after: &DynamicObject) -> bool {
    before.metadata.labels == after.metadata.labels
        && before.metadata.annotations == after.metadata.annotations
        && without_status(&before.data) == without_status(&after.data)
}

fn without_status(data: &Value) -> Value {
    let mut data = data.clone();
    if let Some(fields) = data.as_object_mut() {
        fields.remove("status");
    }
    data
}
