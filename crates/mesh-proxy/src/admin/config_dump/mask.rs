//! Which fields of a message are wanted (`?mask=a,b.c`, a `google.protobuf.FieldMask`).

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The type of an expanded `Any`, which is kept whatever the mask says.
const TYPE: &str = "@type";

/// A tree of field names; without any, everything is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask(BTreeMap<String, Mask>);

impl Mask {
    /// Reads paths, separated by commas.
    pub(super) fn new(text: &str) -> Self {
        let mut root = Self::default();
        let mut paths: Vec<&str> = text
            .split(',')
            .map(str::trim)
            .filter(|p| !p.is_empty())
            .collect();
        // Whole fields come last, and win over parts of the same field.
        paths.sort_by_key(|path| std::cmp::Reverse(path.split('.').count()));
        for path in paths {
            let mut mask = &mut root;
            for name in path.split('.') {
                mask = mask.0.entry(name.to_owned()).or_default();
            }
            mask.0.clear();
        }
        root
    }

    /// What is wanted of a field; `None`: nothing.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        if self.0.is_empty() {
            return Some(Self::default());
        }
        self.0.get(name).cloned()
    }

    /// Takes away what is not wanted. A list is as if each of its elements stood in its place.
    pub(super) fn apply(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::Object(fields) => Value::Object(self.object(fields)),
            Value::Array(items) => items.into_iter().map(|item| self.apply(item)).collect(),
            other => other,
        }
    }

    fn object(&self, fields: Map<String, Value>) -> Map<String, Value> {
        let keep = |(name, value): (String, Value)| {
            if name == TYPE {
                return Some((name, value));
            }
            let value = self.0.get(&name)?.apply(value);
            Some((name, value))
        };
        fields.into_iter().filter_map(keep).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_fields_of_the_mask_stay() {
        let value =
            json!({ "@type": "t", "a": { "b": 1, "c": 2 }, "d": [{ "e": 1, "f": 2 }], "g": 3 });
        for (mask, left) in [
            ("", value.clone()),
            ("g", json!({ "@type": "t", "g": 3 })),
            (
                "a.b, d.f",
                json!({ "@type": "t", "a": { "b": 1 }, "d": [{ "f": 2 }] }),
            ),
            ("a.b,a", json!({ "@type": "t", "a": { "b": 1, "c": 2 } })),
            ("nothing", json!({ "@type": "t" })),
        ] {
            assert_eq!(Mask::new(mask).apply(value.clone()), left, "{mask}");
        }
    }
}
