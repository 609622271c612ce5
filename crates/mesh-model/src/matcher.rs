//! String matching, as policies and contexts use it.

/// How a string is matched (Envoy `type.matcher.v3.StringMatcher`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StringMatch {
    /// Equal.
    Exact(String),
    /// Starts with.
    Prefix(String),
    /// Ends with.
    Suffix(String),
    /// Contains.
    Contains(String),
}

impl StringMatch {
    /// Whether `text` matches, byte by byte.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(want) => text == want,
            Self::Prefix(want) => text.starts_with(want.as_str()),
            Self::Suffix(want) => text.ends_with(want.as_str()),
            Self::Contains(want) => text.contains(want.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StringMatch::*;

    #[test]
    fn each_form_matches_as_named() {
        for (matcher, yes, no) in [
            (Exact("ab".into()), "ab", "abc"),
            (Prefix("ab".into()), "abc", "cab"),
            (Suffix("ab".into()), "cab", "abc"),
            (Contains("ab".into()), "cabc", "acb"),
        ] {
            assert!(matcher.matches(yes), "{matcher:?} {yes}");
            assert!(!matcher.matches(no), "{matcher:?} {no}");
        }
    }
}
