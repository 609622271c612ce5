//! Endpoints: their state in `envoy.admin.v3.Clusters`, and `envoy.config.endpoint.v3.ClusterLoadAssignment`.

use serde::Deserialize;

use super::Shape;
use super::address::Address;

/// What a proxy says of one cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClusterStatus {
    pub(crate) name: String,
    pub(crate) host_statuses: Vec<HostStatus>,
}

/// What a proxy says of one endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HostStatus {
    pub(crate) address: Address,
    health_status: HealthStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HealthStatus {
    eds_health_status: Option<String>,
    failed_outlier_check: bool,
}

impl HostStatus {
    /// What the control plane says of its health.
    pub(crate) fn health(&self) -> &str {
        self.health_status
            .eds_health_status
            .as_deref()
            .unwrap_or("UNKNOWN")
    }

    /// Whether it is ejected for failing.
    pub(crate) fn is_ejected(&self) -> bool {
        self.health_status.failed_outlier_check
    }
}

/// The endpoints of one cluster, as the control plane sent them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClusterLoadAssignment {
    pub(crate) cluster_name: String,
    pub(crate) endpoints: Vec<LocalityEndpoints>,
}

impl Shape for ClusterLoadAssignment {
    const MESSAGE: &'static str = "envoy.config.endpoint.v3.ClusterLoadAssignment";
}

/// The endpoints of one place.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LocalityEndpoints {
    pub(crate) locality: Locality,
    pub(crate) lb_endpoints: Vec<LbEndpoint>,
}

/// A place.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Locality {
    region: String,
    zone: String,
    sub_zone: String,
}

impl Locality {
    /// `<region>/<zone>/<subzone>`, as far as it is known.
    pub(crate) fn describe(&self) -> String {
        let parts = [&self.region, &self.zone, &self.sub_zone];
        let known = parts.into_iter().take_while(|part| !part.is_empty());
        known.map(String::as_str).collect::<Vec<_>>().join("/")
    }
}

/// One endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LbEndpoint {
    endpoint: Endpoint,
    health_status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    address: Address,
}

impl LbEndpoint {
    /// Where it is.
    pub(crate) fn address(&self) -> &Address {
        &self.endpoint.address
    }

    /// What the control plane says of its health.
    pub(crate) fn health(&self) -> &str {
        self.health_status.as_deref().unwrap_or("UNKNOWN")
    }
}
