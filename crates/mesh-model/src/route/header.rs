//! What is changed of the headers of requests and responses.

/// Changes of headers at one level: those of a weighted cluster, its route, its virtual host, its table (in this order).
/// At each level headers are taken off before others are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderMutations {
    /// Taken off requests, lower case.
    pub request_remove: Vec<String>,
    /// Added to requests.
    pub request_add: Vec<HeaderAdd>,
    /// Taken off responses, lower case.
    pub response_remove: Vec<String>,
    /// Added to responses.
    pub response_add: Vec<HeaderAdd>,
}

impl HeaderMutations {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A header that is added (Envoy `HeaderValueOption`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderAdd {
    /// Its name, lower case.
    pub name: String,
    /// Its value: text with operators (`%REQ(X-A)%`); `%%` is a percent sign.
    pub format: String,
    /// What becomes of the values that are there.
    pub action: AppendAction,
    /// A header whose value is empty is added all the same.
    pub keep_empty: bool,
}

/// What becomes of the values of a header that are there when another is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppendAction {
    /// They stay.
    #[default]
    AppendIfExistsOrAdd,
    /// They stay, and nothing is added.
    AddIfAbsent,
    /// They go.
    OverwriteIfExistsOrAdd,
    /// They go; if there are none, nothing is added.
    OverwriteIfExists,
}
