//! What pushes come upon: Istio's `push_status`.

use super::{Pages, Refused, VisitorOf, json};
use crate::metrics::world::{NO_INSTANCES, no_instances};
use axum::{extract::State, response::Response};
use mesh_model::ClusterName;
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

/// By metric and object. What has no metric of Istio's stands under `conflict`.
pub(super) async fn push_status(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    let published = pages.published()?;
    let mut metrics: Map<String, Value> = Map::new();
    let mut add = |metric: &str, key: &str, message: &str| {
        let of_metric = metrics.entry(metric).or_insert_with(|| value!({}));
        let before = of_metric[key]["message"].as_str().unwrap_or_default();
        let message = [before, message].join(if before.is_empty() { "" } else { "; " });
        of_metric[key] = value!({"message": message});
    };
    for conflict in &*published.conflicts {
        let metric = conflict.claim.metric().unwrap_or("conflict");
        add(metric, &conflict.problem.place, &conflict.problem.reason);
    }
    for (service, port) in no_instances(&published.world) {
        let cluster = ClusterName::outbound(port.number, "", &service.host);
        add(NO_INSTANCES, cluster.as_ref(), "");
    }
    json(&metrics)
}
