//! Label selectors.

use std::collections::BTreeMap;

use mesh_api::k8s::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// True if `labels` fulfil `selector`. As the injector's settings use selectors to pick, an empty one picks nothing; an
/// operator that is not known matches nothing.
pub(crate) fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equals = selector.match_labels.iter().flatten();
    let expressions = selector.match_expressions.iter().flatten();
    let is_empty = equals.clone().next().is_none() && expressions.clone().next().is_none();
    !is_empty
        && equals
            .into_iter()
            .all(|(name, value)| labels.get(name) == Some(value))
        && expressions
            .into_iter()
            .all(|expression| fulfils(expression, labels))
}

fn fulfils(expression: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&expression.key);
    let listed =
        value.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
    match expression.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(selector: serde_json::Value, labels: serde_json::Value) -> bool {
        matches(
            &serde_json::from_value(selector).unwrap(),
            &serde_json::from_value(labels).unwrap(),
        )
    }

    #[test]
    fn every_operator_works() {
        use serde_json::json;
        let rows = [
            (json!({}), json!({"a": "1"}), false),
            (
                json!({"matchLabels": {"a": "1"}}),
                json!({"a": "1", "b": "2"}),
                true,
            ),
            (json!({"matchLabels": {"a": "1"}}), json!({"a": "2"}), false),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}),
                json!({"a": "2"}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}),
                json!({}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}),
                json!({}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}),
                json!({"a": "1"}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}),
                json!({"a": ""}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}),
                json!({"a": ""}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Gt"}]}),
                json!({"a": ""}),
                false,
            ),
        ];
        for (selector, labels, expected) in rows {
            assert_eq!(
                fits(selector.clone(), labels.clone()),
                expected,
                "{selector} on {labels}"
            );
        }
    }
}
