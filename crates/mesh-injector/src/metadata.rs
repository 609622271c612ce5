//! Labels and annotations of an injected pod.

use std::collections::BTreeMap;

use mesh_api::annotation as name;
use serde_json::{Map, Value};

use crate::annotations::Annotations;
use crate::overrides::Overrides;
use crate::{SidecarStatus, Workload, json};

/// Longest value of a label.
const LABEL_BYTES: usize = 63;

/// Adds the labels. What the user set stays; what `app` or `version` say is taken over.
pub(crate) fn label(pod: &mut Value, workload: &Workload, network: &str) {
    let labels = json::object(pod, &["metadata", "labels"]);
    let first = |names: &[&str]| {
        let found = names
            .iter()
            .find_map(|name| labels.get(*name)?.as_str().filter(|text| !text.is_empty()));
        found.map(str::to_owned)
    };
    let app = first(&[name::APP_NAME, "app"]).unwrap_or_else(|| workload.name.clone());
    let version = first(&[name::APP_VERSION, "version"]).unwrap_or_else(|| "latest".to_owned());
    set_absent(labels, name::TLS_MODE, name::TLS_MODE_ISTIO);
    if !app.is_empty() {
        set_absent(labels, name::CANONICAL_NAME, truncate(&app));
    }
    set_absent(labels, name::CANONICAL_REVISION, truncate(&version));
    if !network.is_empty() {
        set_absent(labels, name::TOPOLOGY_NETWORK, network);
    }
}

/// Adds the annotations for kubectl: the application stays what is meant when no container is named.
pub(crate) fn name_default_container(pod: &mut Value) {
    let first = pod
        .pointer("/spec/containers/0/name")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let Some(container) = first {
        let annotations = json::object(pod, &["metadata", "annotations"]);
        set_absent(annotations, name::DEFAULT_CONTAINER, &container);
        set_absent(annotations, name::DEFAULT_LOGS_CONTAINER, &container);
    }
}

/// Adds the annotations that the mesh's owner wants, and those that say what was injected, and by which revision.
pub(crate) fn annotate(
    pod: &mut Value,
    status: &SidecarStatus,
    overrides: &Overrides,
    wanted: &BTreeMap<String, String>,
) {
    let annotations = json::object(pod, &["metadata", "annotations"]);
    for (name, text) in wanted {
        put_last(annotations, name, text);
    }
    if let Some(record) = overrides.record() {
        annotations.insert(name::PROXY_OVERRIDES.to_owned(), record.into());
    }
    put_last(annotations, name::REVISION, &status.revision);
    annotations.insert(name::STATUS.to_owned(), status.to_json().into());
}

/// At the end also if it is there, from a template or an earlier injection: injecting again changes nothing.
fn put_last(map: &mut Map<String, Value>, name: &str, value: &str) {
    map.shift_remove(name);
    map.insert(name.to_owned(), value.into());
}

/// Adds the annotations that say what is captured, to the CNI plugin that does it. Those that the user wrote stay; the
/// ports that are not captured are joined by the agent's.
pub(crate) fn tell_cni(pod: &mut Value, asked: &Annotations) {
    let annotations = json::object(pod, &["metadata", "annotations"]);
    let capture = &asked.capture;
    let status = asked.config.status_port.to_string();
    let own = capture.exclude_inbound_ports.split(',');
    let excluded: Vec<&str> = [status.as_str()]
        .into_iter()
        .filter(|port| *port != "0" && !own.clone().any(|own| own == *port))
        .chain(own.clone().filter(|port| !port.is_empty()))
        .collect();
    annotations.insert(
        name::EXCLUDE_INBOUND_PORTS.to_owned(),
        excluded.join(",").into(),
    );
    let mode = asked.config.interception_mode.as_str();
    set_absent(annotations, name::INTERCEPTION_MODE, mode);
    // Empty is a value of its own: no port.
    set_absent(
        annotations,
        name::INCLUDE_INBOUND_PORTS,
        &capture.include_inbound_ports,
    );
    for (name, value) in [
        (
            name::INCLUDE_OUTBOUND_IP_RANGES,
            &capture.include_outbound_ip_ranges,
        ),
        (
            name::EXCLUDE_OUTBOUND_IP_RANGES,
            &capture.exclude_outbound_ip_ranges,
        ),
        (
            name::INCLUDE_OUTBOUND_PORTS,
            &capture.include_outbound_ports,
        ),
        (
            name::EXCLUDE_OUTBOUND_PORTS,
            &capture.exclude_outbound_ports,
        ),
        (name::EXCLUDE_INTERFACES, &capture.exclude_interfaces),
        (name::KUBEVIRT_INTERFACES, &capture.kubevirt_interfaces),
    ] {
        if !value.is_empty() {
            set_absent(annotations, name, value);
        }
    }
}

fn set_absent(map: &mut Map<String, Value>, name: &str, value: &str) {
    map.entry(name).or_insert_with(|| value.into());
}

/// The longest beginning of `text` that may be the value of a label: such a value ends with a letter or a digit.
fn truncate(text: &str) -> &str {
    let end = text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|end| *end <= LABEL_BYTES)
        .last();
    text[..end.unwrap_or(0)].trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(labels: Value) -> Value {
        let mut pod = json!({"metadata": {"labels": labels}});
        label(
            &mut pod,
            &Workload::new("apps/v1", "Deployment", "owner"),
            "",
        );
        pod["metadata"]["labels"].take()
    }

    #[test]
    fn names_come_from_the_best_label_there_is() {
        let rows = [
            (json!({}), "owner", "latest"),
            (json!({"app": "a", "version": "v1"}), "a", "v1"),
            (
                json!({"app": "a", "app.kubernetes.io/name": "b", "version": "v1", "app.kubernetes.io/version": "v2"}),
                "b",
                "v2",
            ),
            (
                json!({"app": "a", "service.istio.io/canonical-name": "c", "service.istio.io/canonical-revision": "v3"}),
                "c",
                "v3",
            ),
            (json!({"app": ""}), "owner", "latest"),
        ];
        for (given, app, version) in rows {
            let all = labels(given.clone());
            assert_eq!(
                (&all[name::CANONICAL_NAME], &all[name::CANONICAL_REVISION]),
                (&json!(app), &json!(version)),
                "{given}"
            );
            assert_eq!(all[name::TLS_MODE], "istio");
        }
    }

    #[test]
    fn what_the_user_set_stays() {
        assert_eq!(
            labels(json!({"security.istio.io/tlsMode": "disabled"}))[name::TLS_MODE],
            "disabled"
        );
    }

    #[test]
    fn values_fit_a_label() {
        let long = format!("{}-.{}", "a".repeat(61), "b".repeat(10));
        assert_eq!(truncate(&long), "a".repeat(61));
        assert_eq!(truncate("short"), "short");
    }
}
