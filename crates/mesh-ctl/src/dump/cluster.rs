//! `envoy.config.cluster.v3.Cluster`, as far as tables show it.

use serde::Deserialize;

use super::Shape;
use super::metadata::Metadata;

/// A cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    #[serde(rename = "type")]
    discovery: Option<String>,
    cluster_type: Option<ClusterType>,
    pub(crate) metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClusterType {
    name: String,
}

impl Shape for Cluster {
    const MESSAGE: &'static str = "envoy.config.cluster.v3.Cluster";
}

impl Cluster {
    /// How its endpoints are found; a cluster that says nothing is static.
    pub(crate) fn discovery(&self) -> &str {
        match (&self.discovery, &self.cluster_type) {
            (Some(discovery), _) => discovery,
            (None, Some(custom)) => &custom.name,
            (None, None) => "STATIC",
        }
    }
}
