//! The annotation `sidecar.istio.io/status`: what injection added, so that it can be taken out again.

use serde::{Deserialize, Serialize};

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
    /// The annotation's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_value(self)
            .map(|value| value.to_string())
            .unwrap_or_default()
    }
}
