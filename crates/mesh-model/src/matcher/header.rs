//! How headers and query parameters are matched.

use super::StringMatcher;
use std::ops::Range;

/// How a header is matched (Envoy `HeaderMatcher`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderMatch {
    /// Its name, lower case.
    pub name: String,
    /// What its value must be.
    pub value: HeaderValueMatch,
    /// The outcome is turned around, but a header that is missing has no value to turn it for.
    pub invert: bool,
    /// A header that is missing counts as one whose value is empty.
    pub missing_is_empty: bool,
}

/// What a header's value must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HeaderValueMatch {
    /// Whether the header is there.
    Present(bool),
    /// Its value looks like this.
    String(StringMatcher),
    /// Its value is a whole number in this range.
    Range(Range<i64>),
}

impl HeaderMatch {
    /// The header of that name is there.
    pub fn present(name: impl Into<String>) -> Self {
        Self::new(name, HeaderValueMatch::Present(true))
    }

    /// The header of that name has such a value.
    pub fn new(name: impl Into<String>, value: HeaderValueMatch) -> Self {
        Self {
            name: name.into(),
            value,
            invert: false,
            missing_is_empty: false,
        }
    }

    /// Whether it matches a request with this value of the header; `None`: the header is missing. A value that is missing
    /// matches no value, not even turned around.
    pub fn matches(&self, value: Option<&[u8]>) -> bool {
        let value = value.or_else(|| self.missing_is_empty.then_some(&b""[..]));
        let matched = match (&self.value, value) {
            (HeaderValueMatch::Present(want), value) => value.is_some() == *want,
            (_, None) => return false,
            (HeaderValueMatch::String(matcher), Some(value)) => matcher.matches(value),
            (HeaderValueMatch::Range(range), Some(value)) => {
                number(value).is_some_and(|number| range.contains(&number))
            }
        };
        matched != self.invert
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// How a parameter of the query is matched (Envoy `QueryParameterMatcher`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryMatch {
    /// Its name, with the letters' case as given.
    pub name: String,
    /// What the first value of that name must look like; `None`: it only has to be there.
    pub value: Option<StringMatcher>,
}

impl QueryMatch {
    /// Whether it matches a request with this query, as it was sent: nothing is decoded.
    pub fn matches(&self, query: Option<&str>) -> bool {
        let parameters = query.unwrap_or_default().split('&');
        let mut parameters = parameters.map(|p| p.split_once('=').unwrap_or((p, "")));
        let found = parameters.find(|(name, _)| !name.is_empty() && *name == self.name);
        match (found, &self.value) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((_, value)), Some(matcher)) => matcher.matches(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::StringMatch, HeaderValueMatch::*, *};

    fn exact(text: &str) -> StringMatcher {
        StringMatch::Exact(text.into()).into()
    }

    #[test]
    fn headers_match_as_in_envoy() {
        // Value wanted, turned around, missing is empty; value; outcome.
        let rows = [
            (Present(true), false, false, Some("a"), true),
            (Present(true), false, false, None, false),
            (Present(true), true, false, None, true),
            (Present(false), false, false, None, true),
            (Present(false), false, false, Some(""), false),
            (Present(true), false, true, None, true),
            (String(exact("a")), false, false, Some("a"), true),
            (String(exact("a")), true, false, Some("a"), false),
            (String(exact("a")), true, false, Some("b"), true),
            (String(exact("a")), true, false, None, false),
            (String(exact("a")), true, true, None, true),
            (String(exact("")), false, true, None, true),
            (Range(-2..3), false, false, Some("-2"), true),
            (Range(-2..3), false, false, Some("3"), false),
            (Range(-2..3), false, false, Some("2x"), false),
            (Range(-2..3), true, false, Some("2x"), true),
            (
                Range(-2..3),
                false,
                false,
                Some("99999999999999999999"),
                false,
            ),
        ];
        for (wanted, invert, missing_is_empty, value, outcome) in rows {
            let matcher = HeaderMatch {
                invert,
                missing_is_empty,
                ..HeaderMatch::new("x", wanted)
            };
            let matched = matcher.matches(value.map(str::as_bytes));
            assert_eq!(matched, outcome, "{matcher:?} {value:?}");
        }
    }

    #[test]
    fn the_first_parameter_of_a_name_counts() {
        for (name, value, query, outcome) in [
            ("a", None, Some("b&a"), true),
            ("a", None, Some("A=1"), false),
            ("a", None, None, false),
            ("a", Some("1"), Some("a=1&a=2"), true),
            ("a", Some("2"), Some("a=1&a=2"), false),
            ("a", Some(""), Some("a"), true),
            ("a", Some("b=c"), Some("a=b=c"), true),
            ("a", Some("%31"), Some("a=%31"), true),
            ("a", Some("1"), Some("a=%31"), false),
        ] {
            let matcher = QueryMatch {
                name: name.into(),
                value: value.map(exact),
            };
            assert_eq!(matcher.matches(query), outcome, "{matcher:?} {query:?}");
        }
    }
}
