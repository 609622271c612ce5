//! Arbitrary matchers.

use super::word;
use mesh_model::matcher::{
    Fraction, FractionOf, HeaderMatch, HeaderValueMatch, QueryMatch, Regex, StringMatch,
    StringMatcher, Substitution,
};
use proptest::{option, prelude::*};

/// A matcher of texts.
pub(crate) fn string() -> impl Strategy<Value = StringMatcher> {
    let text = prop_oneof![
        word().prop_map(StringMatch::Exact),
        word().prop_map(StringMatch::Prefix),
        word().prop_map(StringMatch::Suffix),
        word().prop_map(StringMatch::Contains),
    ];
    let text = (text, any::<bool>()).prop_map(|(pattern, ignore_case)| StringMatcher {
        pattern,
        ignore_case,
    });
    // A regular expression decides about letters' case by itself.
    prop_oneof![4 => text, 1 => regex().prop_map(|r| StringMatch::Regex(r).into())]
}

/// A regular expression.
pub(crate) fn regex() -> impl Strategy<Value = Regex> {
    prop::sample::select(vec!["a|ab", ".*", r"[a\]]\d+", "(?i)x"])
        .prop_map(|pattern| Regex::new(pattern).expect("valid"))
}

/// A matcher of headers.
pub(crate) fn header() -> impl Strategy<Value = HeaderMatch> {
    let name = prop::sample::select(vec![":method", ":authority", "x-a", "cookie"]);
    let value = prop_oneof![
        any::<bool>().prop_map(HeaderValueMatch::Present),
        string().prop_map(HeaderValueMatch::String),
        any::<[i64; 2]>().prop_map(|[start, end]| HeaderValueMatch::Range(start..end)),
    ];
    (name, value, any::<[bool; 2]>()).prop_map(|(name, value, [invert, missing_is_empty])| {
        HeaderMatch {
            name: name.into(),
            value,
            invert,
            missing_is_empty,
        }
    })
}

/// A matcher of query parameters.
pub(crate) fn query() -> impl Strategy<Value = QueryMatch> {
    (word(), option::of(string())).prop_map(|(name, value)| QueryMatch { name, value })
}

/// A share of requests.
pub(crate) fn fraction() -> impl Strategy<Value = Fraction> {
    let per = prop::sample::select(vec![
        FractionOf::Hundred,
        FractionOf::TenThousand,
        FractionOf::Million,
    ]);
    (any::<u32>(), per).prop_map(|(numerator, per)| Fraction { numerator, per })
}

/// What matches, replaced.
pub(crate) fn substitution() -> impl Strategy<Value = Substitution> {
    prop::sample::select(vec![("^/(a|b)", r"/\1x"), ("b+", ""), ("(?i)x", r"\0\\")])
        .prop_map(|(pattern, put)| Substitution::new(pattern, put).expect("valid"))
}
