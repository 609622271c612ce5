//! Reads a settings text over defaults.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::manifest::unknown_fields;
use crate::yaml;

/// Settings that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<T> {
    /// The settings.
    pub value: T,
    /// Paths of fields that this version does not execute (`tracing`, `defaultConfig.tracing`); to be shown.
    pub unknown: Vec<String>,
}

/// Settings that were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Neither YAML nor JSON.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line of the text, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// Well-formed, but no mapping.
    #[error("expected fields and their values, found {found}")]
    NotAnObject {
        /// What stood there instead.
        found: String,
    },
    /// A field holds something that its type cannot.
    #[error("{path}: {message}")]
    Field {
        /// The path of the field, such as `defaultConfig.drainDuration`.
        path: String,
        /// What is wrong with its value.
        message: String,
    },
}

/// Reads `text` over `base`: a field that is set replaces that of `base`, an object is merged field by field, as Istio
/// merges its configuration messages. The same rule reads every settings text of the mesh.
///
/// # Errors
/// If the text is not YAML, or a field holds what its type cannot.
pub fn over<T: Serialize + DeserializeOwned>(base: &T, text: &str) -> Result<Read<T>, Invalid> {
    let syntax = |error: yaml::SyntaxError| Invalid::Syntax {
        line: error.line,
        message: error.message,
    };
    let written = if text.trim().is_empty() {
        Value::Null
    } else {
        yaml::from_str(text).map_err(syntax)?
    };
    if !matches!(written, Value::Object(_) | Value::Null) {
        return Err(Invalid::NotAnObject {
            found: written.to_string(),
        });
    }
    let field = |path: String, message: String| Invalid::Field { path, message };
    let as_json = |value: &T| {
        serde_json::to_value(value).map_err(|error| field(String::new(), error.to_string()))
    };
    let mut merged = as_json(base)?;
    merge(&mut merged, written.clone());
    let value: T = serde_path_to_error::deserialize(merged)
        .map_err(|error| field(error.path().to_string(), error.inner().to_string()))?;
    let unknown = unknown_fields(&written, &as_json(&value)?);
    Ok(Read { value, unknown })
}

fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}
