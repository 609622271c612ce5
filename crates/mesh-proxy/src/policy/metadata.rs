//! What filters write about a request for other filters and logs to read (Envoy's dynamic metadata).

use mesh_model::policy::{MetadataMatch, ValueMatch};
use serde_json::{Map, Value};

/// Values by the filter that wrote them. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(crate) struct DynamicMetadata(Vec<(Box<str>, Value)>);

/// What nobody has written anything about.
pub(crate) static NOTHING: DynamicMetadata = DynamicMetadata(Vec::new());

impl DynamicMetadata {
    /// Writes a value under the name of its filter.
    pub(crate) fn set(&mut self, filter: &str, key: impl Into<String>, value: Value) {
        let place = self.0.iter().position(|(name, _)| **name == *filter);
        let place = place.unwrap_or_else(|| {
            self.0.push((filter.into(), Value::Object(Map::new())));
            self.0.len() - 1
        });
        if let Value::Object(values) = &mut self.0[place].1 {
            values.insert(key.into(), value);
        }
    }

    /// The value at the end of `path`; with no path, all that the filter wrote.
    pub(crate) fn get<'a>(
        &self,
        filter: &str,
        path: impl IntoIterator<Item = &'a str>,
    ) -> Option<&Value> {
        let found = self.0.iter().find(|(name, _)| **name == *filter);
        let (_, values) = found?;
        path.into_iter()
            .try_fold(values, |value, key| value.as_object()?.get(key))
    }

    /// Whether `matcher` finds what it looks for.
    pub(crate) fn matches(&self, matcher: &MetadataMatch) -> bool {
        let value = self.get(&matcher.filter, matcher.path.iter().map(String::as_str));
        matches(&matcher.value, value) != matcher.invert
    }
}

fn matches(matcher: &ValueMatch, value: Option<&Value>) -> bool {
    match (matcher, value) {
        (ValueMatch::Or(all), value) => all.iter().any(|one| matches(one, value)),
        (ValueMatch::Present(present), value) => *present && value.is_some(),
        (ValueMatch::Null, Some(Value::Null)) => true,
        (ValueMatch::Bool(want), Some(Value::Bool(value))) => want == value,
        (ValueMatch::String(text), Some(Value::String(value))) => text.matches(value),
        (ValueMatch::OneOf(inner), Some(Value::Array(all))) => {
            all.iter().any(|value| matches(inner, Some(value)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_model::matcher::StringMatch;
    use serde_json::json;

    #[test]
    fn values_are_found_and_matched() {
        let mut metadata = DynamicMetadata::default();
        let claims =
            json!({"sub": "a", "groups": ["x", "y"], "ok": true, "no": null, "in": {"z": "1"}});
        metadata.set("jwt", "payload", claims);
        let text = |text: &str| ValueMatch::String(StringMatch::Exact(text.into()).into());
        let one_of = |text_: &str| ValueMatch::OneOf(Box::new(text(text_)));
        for (path, value, want) in [
            (vec!["payload", "sub"], text("a"), true),
            (vec!["payload", "sub"], text("b"), false),
            (vec!["payload", "groups"], text("x"), false),
            (vec!["payload", "groups"], one_of("y"), true),
            (vec!["payload", "groups"], one_of("z"), false),
            (
                vec!["payload", "sub"],
                ValueMatch::Or(vec![one_of("a"), text("a")]),
                true,
            ),
            (vec!["payload", "ok"], ValueMatch::Bool(true), true),
            (vec!["payload", "ok"], ValueMatch::Bool(false), false),
            (vec!["payload", "no"], ValueMatch::Null, true),
            (vec!["payload", "none"], ValueMatch::Null, false),
            (vec!["payload", "none"], ValueMatch::Present(true), false),
            (vec!["payload", "none"], ValueMatch::Present(false), false),
            (vec!["payload", "in"], ValueMatch::Present(true), true),
            (vec!["payload", "in", "z"], text("1"), true),
            (vec!["payload", "sub", "z"], text("1"), false),
        ] {
            let matcher = |invert| MetadataMatch {
                filter: "jwt".into(),
                path: path.iter().map(|key| (*key).to_owned()).collect(),
                value: value.clone(),
                invert,
            };
            assert_eq!(
                metadata.matches(&matcher(false)),
                want,
                "{path:?} {value:?}"
            );
            assert_eq!(
                metadata.matches(&matcher(true)),
                !want,
                "{path:?} {value:?}"
            );
        }
    }
}
