//! Why a document was refused.

use super::Place;

/// A document that could not become an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Invalid {
    /// The document, and the line that is to blame as closely as it is known.
    pub place: Place,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Neither YAML nor JSON, or beyond the limits (depth, size, aliases).
    #[error("{0}")]
    Syntax(String),
    /// Well-formed, but no mapping at the top.
    #[error("expected an object with apiVersion and kind, found {found}")]
    NotAnObject {
        /// What stood there instead, such as `a list`.
        found: &'static str,
    },
    /// A field that every object needs is missing.
    #[error("{field}: required, but missing")]
    Missing {
        /// The path of the field.
        field: &'static str,
    },
    /// A field holds something that its type cannot.
    #[error("{path}: {message}")]
    Field {
        /// The path of the field, such as `spec.ports[0].port`.
        path: String,
        /// What is wrong with its value.
        message: String,
    },
}

impl Invalid {
    /// How the user can mend it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match &self.reason {
            Reason::Field { message, .. } if message.contains("expected a string") => Some(
                "put quotes around the value: YAML reads a bare 80, 1.10, yes or on as a number or a boolean",
            ),
            Reason::Syntax(message) if message.contains("tab") => {
                Some("YAML is indented by spaces, never by tabs")
            }
            Reason::NotAnObject { .. } => {
                Some("separate the documents of one file by a line that holds only ---")
            }
            _ => None,
        }
    }
}
