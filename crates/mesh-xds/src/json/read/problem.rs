//! What can be wrong with a JSON document, and where.

use super::MAX_DEPTH;

/// A place in a document and what is wrong there.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", if .place.is_empty() { "the document" } else { .place.as_str() })]
pub struct ReadError {
    /// The path to it, e.g. `static_resources.listeners[0].address`; empty for the document itself.
    pub place: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The message, named here, has no field of that name.
    #[error("no such field in {0}")]
    UnknownField(String),
    /// There is no message type of this name.
    #[error("no message type named `{0}` is known")]
    UnknownType(String),
    /// The enumeration has no such value.
    #[error("{value} is no value of {enumeration}")]
    UnknownValue {
        /// The value, as it stands in the document.
        value: String,
        /// The enumeration's full name.
        enumeration: String,
    },
    /// An object that may be of any type does not say which.
    #[error(
        "`@type` is missing\nhint: name the message, e.g. `\"@type\": \"type.googleapis.com/…\"`"
    )]
    NoType,
    /// Another kind of JSON is needed.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The value is not one that the field can have.
    #[error("{0}")]
    Invalid(serde_json::Error),
    /// The field excludes one that is set already, named here.
    #[error("cannot stand beside `{0}`: only one of them may be set")]
    Twice(String),
    /// Objects and lists nest deeper than anything honest does.
    #[error("objects and lists nest more than {MAX_DEPTH} levels deep")]
    TooDeep,
}
