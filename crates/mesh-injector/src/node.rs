//! The node that a pod is meant for, where that is known before it is scheduled.

use mesh_api::k8s::api::core::v1::{NodeSelectorTerm, Pod};

/// The node's name: the pod says it, or its affinity leaves one only, as that of a DaemonSet's pods does.
pub(crate) fn of(pod: &Pod) -> Option<&str> {
    let spec = pod.spec.as_ref()?;
    let named = spec.node_name.as_deref().filter(|name| !name.is_empty());
    named.or_else(|| {
        let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
        let required = affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()?;
        // Terms are alternatives.
        let mut names = required.node_selector_terms.iter().map(only);
        let first = names.next()??;
        names.all(|name| name == Some(first)).then_some(first)
    })
}

/// The only node that a term allows.
fn only(term: &NodeSelectorTerm) -> Option<&str> {
    let mut fields = term.match_fields.iter().flatten();
    let name = fields.find(|field| field.key == "metadata.name" && field.operator == "In")?;
    match name.values.as_deref()? {
        [name] => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(spec: Value) -> Option<String> {
        let pod = serde_json::from_value(json!({"spec": spec})).expect("a pod");
        of(&pod).map(str::to_owned)
    }

    fn affinity(terms: Value) -> Value {
        json!({"containers": [], "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
    }

    #[test]
    fn a_node_is_known_if_there_is_only_one() {
        let term = |operator: &str, names: &[&str]| json!({"matchFields": [{"key": "metadata.name", "operator": operator, "values": names}]});
        assert_eq!(
            node(json!({"containers": [], "nodeName": "n1"})).as_deref(),
            Some("n1")
        );
        assert_eq!(
            node(affinity(json!([term("In", &["n1"])]))).as_deref(),
            Some("n1")
        );
        assert_eq!(
            node(affinity(json!([term("In", &["n1"]), term("In", &["n1"])]))).as_deref(),
            Some("n1")
        );
        for spec in [
            json!({"containers": []}),
            json!({"containers": [], "nodeName": ""}),
            affinity(json!([])),
            affinity(json!([{}])),
            affinity(json!([term("NotIn", &["n1"])])),
            affinity(json!([term("In", &["n1", "n2"])])),
            affinity(json!([term("In", &["n1"]), term("In", &["n2"])])),
            affinity(json!([term("In", &["n1"]), {}])),
        ] {
            assert_eq!(node(spec.clone()), None, "{spec}");
        }
    }
}
