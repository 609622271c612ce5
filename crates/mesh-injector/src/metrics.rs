//! The application's metrics, served together with the proxy's.
//!
//! Prometheus' annotations name one port of a pod. They are pointed at the agent, which serves its own, the proxy's and
//! the application's metrics; where the application's are travels in `ISTIO_PROMETHEUS_ANNOTATIONS`.

use mesh_api::annotation::{
    PROMETHEUS_PATH, PROMETHEUS_PORT, PROMETHEUS_SCHEME, PROMETHEUS_SCRAPE,
};
use mesh_model::port;
use serde_json::{Map, Value, json};

use crate::annotations::ScrapeTarget;
use crate::json;

/// Where the agent serves the merged metrics.
const PATH: &str = "/stats/prometheus";

/// The annotations, and the keys under which the agent reads them.
const ANNOTATIONS: [(&str, &str); 4] = [
    (PROMETHEUS_SCRAPE, "scrape"),
    (PROMETHEUS_PATH, "path"),
    (PROMETHEUS_PORT, "port"),
    (PROMETHEUS_SCHEME, "scheme"),
];

/// Points the annotations at the agent and returns where the application's own metrics are, if the pod says so: `targets`
/// where it lists several. A pod that refuses to be scraped, or already points at the agent, is left alone.
pub(crate) fn merge(
    pod: &mut Value,
    status_port: u16,
    targets: &[ScrapeTarget],
    warnings: &mut Vec<String>,
) -> Map<String, Value> {
    let annotations = json::object(pod, &["metadata", "annotations"]);
    let text = |name: &str| annotations.get(name).and_then(Value::as_str);
    // One that is no number has refused the pod before.
    let own_port = text(PROMETHEUS_PORT).and_then(|text| text.trim().parse::<u16>().ok());
    let is_ours = own_port == Some(status_port);
    if text(PROMETHEUS_SCRAPE) == Some("false") || is_ours && targets.is_empty() {
        return Map::new();
    }
    let is_reserved = !is_ours && own_port.is_some_and(|port| port::RESERVED.contains(&port));
    let mut own = Map::new();
    for (name, key) in ANNOTATIONS.into_iter().filter(|_| !is_ours) {
        if let Some(value) = annotations.get(name) {
            own.insert(key.to_owned(), value.clone());
        }
    }
    if is_reserved {
        warnings.push(format!(
            "annotation {PROMETHEUS_PORT}: the port belongs to the proxy, so the application's metrics are not served"
        ));
        own.clear();
    }
    if !targets.is_empty() {
        let target =
            |target: &ScrapeTarget| json!({"port": target.port.to_string(), "path": target.path});
        own.insert("targets".to_owned(), targets.iter().map(target).collect());
    }
    annotations.insert(PROMETHEUS_SCRAPE.to_owned(), "true".into());
    annotations.insert(PROMETHEUS_PORT.to_owned(), status_port.to_string().into());
    annotations.insert(PROMETHEUS_PATH.to_owned(), PATH.into());
    annotations.shift_remove(PROMETHEUS_SCHEME);
    own
}

/// Undoes [`merge`], given what it returned.
pub(crate) fn restore(pod: &mut Value, own: &Map<String, Value>) {
    let annotations = json::object(pod, &["metadata", "annotations"]);
    if annotations.get(PROMETHEUS_PATH).and_then(Value::as_str) != Some(PATH) {
        return;
    }
    for (name, key) in ANNOTATIONS {
        match own.get(key) {
            Some(value) => drop(annotations.insert(name.to_owned(), value.clone())),
            None => drop(annotations.shift_remove(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(annotations: Value) -> (Value, Value, usize) {
        let mut pod = json!({"metadata": {"annotations": annotations}});
        let mut warnings = Vec::new();
        let own = merge(&mut pod, 15020, &[], &mut warnings);
        (
            pod["metadata"]["annotations"].take(),
            Value::Object(own),
            warnings.len(),
        )
    }

    #[test]
    fn annotations_point_at_the_agent_and_the_own_ones_are_kept_for_it() {
        let agent = json!({
            PROMETHEUS_SCRAPE: "true", PROMETHEUS_PORT: "15020", PROMETHEUS_PATH: "/stats/prometheus",
        });
        let rows = [
            (json!({}), agent.clone(), json!({}), 0),
            (
                json!({PROMETHEUS_PORT: "9090", PROMETHEUS_PATH: "/m", PROMETHEUS_SCHEME: "https"}),
                agent.clone(),
                json!({"port": "9090", "path": "/m", "scheme": "https"}),
                0,
            ),
            (
                json!({PROMETHEUS_SCRAPE: "false"}),
                json!({PROMETHEUS_SCRAPE: "false"}),
                json!({}),
                0,
            ),
            (
                json!({PROMETHEUS_PORT: "15020"}),
                json!({PROMETHEUS_PORT: "15020"}),
                json!({}),
                0,
            ),
            (json!({PROMETHEUS_PORT: "15090"}), agent, json!({}), 1),
        ];
        for (annotations, expected, own, warnings) in rows {
            assert_eq!(
                merged(annotations.clone()),
                (expected, own, warnings),
                "{annotations}"
            );
        }
    }

    #[test]
    fn several_places_are_listed_for_the_agent() {
        let targets = [(8080, "/metrics"), (9100, "/m")].map(|(port, path)| ScrapeTarget {
            port,
            path: path.into(),
        });
        let listed = json!([{"port": "8080", "path": "/metrics"}, {"port": "9100", "path": "/m"}]);
        for (annotations, own) in [
            (json!({}), json!({"targets": listed})),
            (
                json!({PROMETHEUS_PORT: "15020", PROMETHEUS_PATH: PATH}),
                json!({"targets": listed}),
            ),
            (
                json!({PROMETHEUS_PORT: "80"}),
                json!({"port": "80", "targets": listed}),
            ),
        ] {
            let mut pod = json!({"metadata": {"annotations": annotations}});
            let read = merge(&mut pod, 15020, &targets, &mut Vec::new());
            assert_eq!(Value::Object(read.clone()), own, "{annotations}");
            let once = pod.clone();
            restore(&mut pod, &read);
            assert_eq!(merge(&mut pod, 15020, &targets, &mut Vec::new()), read);
            assert_eq!(pod, once);
        }
    }

    #[test]
    fn restoring_undoes_merging() {
        let rows = [
            json!({}),
            json!({"a": "b"}),
            json!({PROMETHEUS_PORT: "9090", PROMETHEUS_SCHEME: "https", "a": "b"}),
        ];
        for annotations in rows {
            let mut pod = json!({"metadata": {"annotations": annotations}});
            let own = merge(&mut pod, 15020, &[], &mut Vec::new());
            restore(&mut pod, &own);
            assert_eq!(pod["metadata"]["annotations"], annotations);
        }
    }
}
