//! Texts that people write without quotes: `tag: 1.24` is a number to YAML, and Helm prints it into a template all the same.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

/// A text, or what Helm would print of a number or a truth value; null is empty.
pub(super) fn text<'a, D: Deserializer<'a>>(deserializer: D) -> Result<String, D::Error> {
    print(Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Texts by name; see [`text()`].
pub(super) fn texts<'a, D: Deserializer<'a>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let written = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?;
    let pairs = written.unwrap_or_default().into_iter();
    let printed = pairs.map(|(name, value)| {
        print(value)
            .map(|text| (name.clone(), text))
            .map_err(|message| D::Error::custom(format!("{name}: {message}")))
    });
    printed.collect()
}

fn print(value: Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(number) => Ok(print_number(&number)),
        other => Err(format!("expected a text, found {other}")),
    }
}

/// Go prints no fraction that is zero.
fn print_number(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::print;

    #[test]
    fn numbers_are_printed_as_helm_does() {
        for (value, printed) in [
            (json!(2), "2"),
            (json!(2.0), "2"),
            (json!(1.24), "1.24"),
            (json!(-1), "-1"),
            (json!(true), "true"),
            (json!("1.10"), "1.10"),
            (json!(null), ""),
        ] {
            assert_eq!(print(value.clone()).as_deref(), Ok(printed), "{value}");
        }
        assert!(print(json!([])).is_err() && print(json!({})).is_err());
    }
}
