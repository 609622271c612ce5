//! Matchers of what filters wrote about a request (Envoy `MetadataMatcher`).

use crate::matcher::StringMatcher;

/// How a value in a filter's metadata is matched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetadataMatch {
    /// Name of the filter that wrote it, such as `envoy.filters.http.jwt_authn`.
    pub filter: String,
    /// Keys, from the outermost object inwards; at least one.
    pub path: Vec<String>,
    /// What the value there must be.
    pub value: ValueMatch,
    /// The outcome is turned around, also where there is no value.
    pub invert: bool,
}

/// What a value must be (Envoy `ValueMatcher`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// Null.
    Null,
    /// A text that looks like this.
    String(StringMatcher),
    /// This truth value.
    Bool(bool),
    /// Anything (`true`), or nothing that matches at all (`false`), as in Envoy.
    Present(bool),
    /// A list with an element that is so.
    OneOf(Box<ValueMatch>),
    /// One of these, at least two.
    Or(Vec<ValueMatch>),
}
