//! How a text is matched.

use super::Regex;

/// How a text is matched (Envoy `StringMatcher`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StringMatcher {
    /// What it must look like.
    pub pattern: StringMatch,
    /// ASCII letters match in either case. A regular expression decides that by itself.
    pub ignore_case: bool,
}

/// What a text must look like.
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
    /// All of it matches.
    Regex(Regex),
}

impl From<StringMatch> for StringMatcher {
    /// With the letters' case as given.
    fn from(pattern: StringMatch) -> Self {
        Self {
            pattern,
            ignore_case: false,
        }
    }
}

impl StringMatcher {
    /// Whether `text` matches, byte by byte.
    pub fn matches(&self, text: impl AsRef<[u8]>) -> bool {
        let text = text.as_ref();
        let equal = |part: &[u8], want: &str| match self.ignore_case {
            true => part.eq_ignore_ascii_case(want.as_bytes()),
            false => part == want.as_bytes(),
        };
        match &self.pattern {
            StringMatch::Exact(want) => equal(text, want),
            StringMatch::Prefix(want) => text.get(..want.len()).is_some_and(|t| equal(t, want)),
            StringMatch::Suffix(want) => text
                .len()
                .checked_sub(want.len())
                .is_some_and(|start| equal(&text[start..], want)),
            StringMatch::Contains(want) if want.is_empty() => true,
            StringMatch::Contains(want) => text.windows(want.len()).any(|t| equal(t, want)),
            StringMatch::Regex(regex) => regex.matches(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{StringMatch::*, StringMatcher};

    #[test]
    fn each_form_matches_as_named() {
        let regex = crate::matcher::Regex::new("a|ab").expect("valid");
        for (pattern, yes, no) in [
            (Exact("ab".into()), "ab", "abc"),
            (Prefix("ab".into()), "abc", "cab"),
            (Suffix("ab".into()), "cab", "b"),
            (Contains("ab".into()), "cabc", "acb"),
            (Contains(String::new()), "", "-"),
            (Regex(regex), "ab", "abc"),
        ] {
            let matcher = StringMatcher::from(pattern);
            assert!(matcher.matches(yes), "{matcher:?} {yes}");
            assert!(no == "-" || !matcher.matches(no), "{matcher:?} {no}");
        }
    }

    #[test]
    fn case_is_ignored_where_that_is_asked_for() {
        let upper = crate::matcher::Regex::new("AB").expect("valid");
        for (pattern, ignores) in [
            (Exact("aB".into()), true),
            (Prefix("aB".into()), true),
            (Suffix("aB".into()), true),
            (Contains("aB".into()), true),
            (Regex(upper), false),
        ] {
            let matcher = StringMatcher {
                pattern,
                ignore_case: true,
            };
            assert_eq!(matcher.matches("Ab"), ignores, "{matcher:?}");
        }
    }
}
