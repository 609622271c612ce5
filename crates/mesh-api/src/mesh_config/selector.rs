//! Label selectors in settings (Kubernetes `LabelSelector`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Picks by labels. An empty one picks everything, as in Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that there have to be, with these values.
    pub match_labels: BTreeMap<String, String>,
    /// What else has to hold.
    pub match_expressions: Vec<Requirement>,
}

/// What has to hold of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Name of the label.
    pub key: String,
    /// How its value and `values` relate.
    pub operator: Operator,
    /// Values, for `In` and `NotIn`.
    #[serde(default)]
    pub values: Vec<String>,
}

/// See [`Requirement::operator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// There is such a label, with one of the values.
    In,
    /// There is no such label, or it has none of the values.
    NotIn,
    /// There is such a label.
    Exists,
    /// There is none.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether it picks what has these labels.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let equals = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        self.match_labels.iter().all(equals)
            && self.match_expressions.iter().all(|r| r.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mesh_config::MeshConfig;

    #[test]
    fn every_operator_works() {
        let picks = |selector: &str, labels: &[(&str, &str)]| {
            let text = format!("discoverySelectors: [{selector}]");
            let read = MeshConfig::read(&text).unwrap_or_else(|e| panic!("{selector}: {e}"));
            assert!(read.unknown.is_empty(), "{:?}", read.unknown);
            let labels = labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            read.value.discovery_selectors[0].matches(&labels.collect())
        };
        type Labels = &'static [(&'static str, &'static str)];
        let rows: [(&str, Labels, bool); 10] = [
            ("{}", &[], true),
            ("{matchLabels: {a: '1'}}", &[("a", "1"), ("b", "2")], true),
            ("{matchLabels: {a: '1'}}", &[("a", "2")], false),
            ("{matchLabels: {a: '1', b: '1'}}", &[("a", "1")], false),
            (
                "{matchExpressions: [{key: a, operator: In, values: ['1']}]}",
                &[("a", "1")],
                true,
            ),
            (
                "{matchExpressions: [{key: a, operator: In, values: ['1']}]}",
                &[],
                false,
            ),
            (
                "{matchExpressions: [{key: a, operator: NotIn, values: ['1']}]}",
                &[],
                true,
            ),
            (
                "{matchExpressions: [{key: a, operator: NotIn, values: ['1']}]}",
                &[("a", "1")],
                false,
            ),
            (
                "{matchExpressions: [{key: a, operator: Exists}]}",
                &[("a", "")],
                true,
            ),
            (
                "{matchExpressions: [{key: a, operator: DoesNotExist}]}",
                &[("a", "")],
                false,
            ),
        ];
        for (selector, labels, expected) in rows {
            assert_eq!(
                picks(selector, labels),
                expected,
                "{selector} of {labels:?}"
            );
        }
    }

    #[test]
    fn another_operator_is_refused() {
        let text = "discoverySelectors: [{matchExpressions: [{key: a, operator: Gt}]}]";
        let error = MeshConfig::read(text).expect_err("refused").to_string();
        assert!(
            error.starts_with("discoverySelectors[0].matchExpressions[0].operator"),
            "{error}"
        );
    }
}
