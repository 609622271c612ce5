//! The annotation `sidecar.istio.io/status`: what injection added, so that it can be taken out again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json;

/// What an injection added to a pod, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SidecarStatus {
    /// Init containers.
    #[serde(default)]
    pub init_containers: Option<Vec<String>>,
    /// Containers.
    #[serde(default)]
    pub containers: Option<Vec<String>>,
    /// Volumes.
    #[serde(default)]
    pub volumes: Option<Vec<String>>,
    /// Pull secrets.
    #[serde(default)]
    pub image_pull_secrets: Option<Vec<String>>,
    /// Revision of the control plane that injected.
    #[serde(default)]
    pub revision: String,
}

impl SidecarStatus {
    /// What `injected` has and `bare` has not.
    pub(crate) fn of(bare: &Value, injected: &Value, revision: &str) -> Self {
        let names = |pod: &Value, list: &str| -> Vec<String> {
            let items = pod
                .pointer(&format!("/spec/{list}"))
                .and_then(Value::as_array);
            items
                .into_iter()
                .flatten()
                .map(|item| json::name_of(item).to_owned())
                .collect()
        };
        let added = |list: &str| {
            let before = names(bare, list);
            let mut added = names(injected, list);
            added.retain(|name| !before.contains(name));
            (!added.is_empty()).then_some(added)
        };
        Self {
            init_containers: added("initContainers"),
            containers: added("containers"),
            volumes: added("volumes"),
            image_pull_secrets: added("imagePullSecrets"),
            revision: revision.to_owned(),
        }
    }

    /// The annotation's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_value(self)
            .map(|value| value.to_string())
            .unwrap_or_default()
    }
}
