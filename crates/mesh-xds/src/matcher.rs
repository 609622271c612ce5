//! Matchers ↔ Envoy's `StringMatcher`, `HeaderMatcher`, `QueryParameterMatcher` and `FractionalPercent`.

mod header; // headers and query parameters

pub(crate) use header::{decode_header, decode_query, encode_header, encode_query};

use crate::{
    decode::{self, At},
    pb::envoy::{
        config::core::v3::RuntimeFractionalPercent,
        r#type::{
            matcher::v3::{
                RegexMatchAndSubstitute, RegexMatcher, StringMatcher as Wire,
                string_matcher::MatchPattern,
            },
            v3::{FractionalPercent, fractional_percent::DenominatorType},
        },
    },
};
use mesh_model::matcher::{Fraction, FractionOf, Regex, StringMatch, StringMatcher, Substitution};
use std::mem::take;

pub(crate) fn encode(matcher: &StringMatcher) -> Wire {
    Wire {
        ignore_case: matcher.ignore_case,
        match_pattern: Some(match matcher.pattern.clone() {
            StringMatch::Exact(text) => MatchPattern::Exact(text),
            StringMatch::Prefix(text) => MatchPattern::Prefix(text),
            StringMatch::Suffix(text) => MatchPattern::Suffix(text),
            StringMatch::Contains(text) => MatchPattern::Contains(text),
            StringMatch::Regex(regex) => MatchPattern::SafeRegex(encode_regex(&regex)),
        }),
    }
}

pub(crate) fn decode(mut wire: Wire, at: &At<'_>) -> Option<StringMatcher> {
    let ignore_case = take(&mut wire.ignore_case);
    let pattern = match wire.match_pattern.take() {
        Some(MatchPattern::Exact(text)) => Some(StringMatch::Exact(text)),
        Some(MatchPattern::Prefix(text)) => some(text, at).map(StringMatch::Prefix),
        Some(MatchPattern::Suffix(text)) => some(text, at).map(StringMatch::Suffix),
        Some(MatchPattern::Contains(text)) => some(text, at).map(StringMatch::Contains),
        Some(MatchPattern::SafeRegex(_)) if ignore_case => {
            let why = "has no effect on a regular expression, which says `(?i)` by itself";
            at.field("ignore_case").refuse(why)
        }
        Some(MatchPattern::SafeRegex(regex)) => {
            decode_regex(regex, &at.field("safe_regex")).map(StringMatch::Regex)
        }
        Some(MatchPattern::Custom(_)) => {
            at.field("custom").refuse("this proxy does not execute it")
        }
        None => at.refuse("must be set"),
    };
    at.finish(wire);
    Some(StringMatcher {
        pattern: pattern?,
        ignore_case,
    })
}

/// Part of a text, which must not be empty.
fn some(text: String, at: &At<'_>) -> Option<String> {
    match text.is_empty() {
        true => at.refuse("an empty text matches everything"),
        false => Some(text),
    }
}

pub(crate) fn encode_regex(regex: &Regex) -> RegexMatcher {
    RegexMatcher {
        regex: regex.as_str().into(),
        ..Default::default()
    }
}

#[allow(deprecated)] // there has only ever been one engine
pub(crate) fn decode_regex(mut wire: RegexMatcher, at: &At<'_>) -> Option<Regex> {
    let pattern = at.text("regex", take(&mut wire.regex));
    wire.engine_type = None;
    at.finish(wire);
    let pattern = pattern?;
    match Regex::new(&pattern) {
        Ok(regex) => Some(regex),
        Err(error) => at.field("regex").refuse(format!("{pattern:?} {error}")),
    }
}

pub(crate) fn encode_substitution(substitution: &Substitution) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(RegexMatcher {
            regex: substitution.pattern().into(),
            ..Default::default()
        }),
        substitution: substitution.replacement().into(),
    }
}

#[allow(deprecated)] // there has only ever been one engine
pub(crate) fn decode_substitution(
    mut wire: RegexMatchAndSubstitute,
    at: &At<'_>,
) -> Option<Substitution> {
    let replacement = take(&mut wire.substitution);
    let replacement = at.field("substitution").header_value(replacement);
    let pattern = at.required(
        "pattern",
        wire.pattern.take(),
        |mut wire: RegexMatcher, at| {
            let pattern = at.text("regex", take(&mut wire.regex));
            wire.engine_type = None;
            at.finish(wire);
            pattern
        },
    );
    at.finish(wire);
    let (pattern, replacement) = (pattern?, replacement?);
    match Substitution::new(&pattern, &replacement) {
        Ok(substitution) => Some(substitution),
        Err(error) => at.refuse(format!("{pattern:?}, {replacement:?}: {error}")),
    }
}

/// A share of requests; no runtime value is ever set, so that its default stands.
pub(crate) fn encode_fraction(fraction: Fraction) -> RuntimeFractionalPercent {
    RuntimeFractionalPercent {
        default_value: Some(encode_share(fraction)),
        ..Default::default()
    }
}

pub(crate) fn encode_share(fraction: Fraction) -> FractionalPercent {
    let denominator = match fraction.per {
        FractionOf::Hundred => DenominatorType::Hundred,
        FractionOf::TenThousand => DenominatorType::TenThousand,
        FractionOf::Million => DenominatorType::Million,
    };
    FractionalPercent {
        numerator: fraction.numerator,
        denominator: denominator.into(),
    }
}

pub(crate) fn decode_fraction(mut wire: RuntimeFractionalPercent, at: &At<'_>) -> Option<Fraction> {
    let value = wire.default_value.take();
    let fraction = at.required("default_value", value, decode_share);
    at.finish(wire);
    fraction
}

pub(crate) fn decode_share(mut wire: FractionalPercent, at: &At<'_>) -> Option<Fraction> {
    let numerator = take(&mut wire.numerator);
    let denominator = take(&mut wire.denominator);
    let denominator = decode::variant(denominator, &at.field("denominator"));
    at.finish(wire);
    Some(Fraction {
        numerator,
        per: match denominator? {
            DenominatorType::Hundred => FractionOf::Hundred,
            DenominatorType::TenThousand => FractionOf::TenThousand,
            DenominatorType::Million => FractionOf::Million,
        },
    })
}
