//! Headers and query parameters.

use super::{decode, decode_regex, encode};
use crate::{
    decode::At,
    pb::envoy::{
        config::route::v3::{
            HeaderMatcher, QueryParameterMatcher, header_matcher::HeaderMatchSpecifier,
            query_parameter_matcher::QueryParameterMatchSpecifier,
        },
        r#type::v3::Int64Range,
    },
};
use http::HeaderName;
use mesh_model::matcher::{HeaderMatch, HeaderValueMatch, QueryMatch, StringMatch};
use std::mem::take;

/// What HTTP/2 has instead of a request line.
const PSEUDO_HEADERS: [&str; 4] = [":authority", ":method", ":path", ":scheme"];

pub(crate) fn encode_header(matcher: &HeaderMatch) -> HeaderMatcher {
    HeaderMatcher {
        name: matcher.name.clone(),
        invert_match: matcher.invert,
        treat_missing_header_as_empty: matcher.missing_is_empty,
        header_match_specifier: Some(match &matcher.value {
            HeaderValueMatch::Present(present) => HeaderMatchSpecifier::PresentMatch(*present),
            HeaderValueMatch::String(text) => HeaderMatchSpecifier::StringMatch(encode(text)),
            HeaderValueMatch::Range(range) => HeaderMatchSpecifier::RangeMatch(Int64Range {
                start: range.start,
                end: range.end,
            }),
        }),
    }
}

pub(crate) fn decode_header(mut wire: HeaderMatcher, at: &At<'_>) -> Option<HeaderMatch> {
    let name = decode_name(take(&mut wire.name), &at.field("name"));
    let invert = take(&mut wire.invert_match);
    let missing_is_empty = take(&mut wire.treat_missing_header_as_empty);
    let value = decode_value(wire.header_match_specifier.take(), at);
    at.finish(wire);
    Some(HeaderMatch {
        name: name?,
        value: value?,
        invert,
        missing_is_empty,
    })
}

/// `host` is a name of `:authority`.
fn decode_name(name: String, at: &At<'_>) -> Option<String> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "host" => Some(":authority".into()),
        pseudo if PSEUDO_HEADERS.contains(&pseudo) => Some(name),
        other if HeaderName::from_bytes(other.as_bytes()).is_ok() => Some(name),
        _ => at.refuse(format!("{name:?} is no name of a header")),
    }
}

// Older control planes write patterns without their type. A text that is not said is any.
#[allow(deprecated)]
fn decode_value(wire: Option<HeaderMatchSpecifier>, at: &At<'_>) -> Option<HeaderValueMatch> {
    use HeaderMatchSpecifier as Wire;
    let text = |pattern: StringMatch| Some(HeaderValueMatch::String(pattern.into()));
    match wire {
        None => Some(HeaderValueMatch::Present(true)),
        Some(Wire::PresentMatch(present)) => Some(HeaderValueMatch::Present(present)),
        Some(Wire::StringMatch(matcher)) => {
            decode(matcher, &at.field("string_match")).map(HeaderValueMatch::String)
        }
        Some(Wire::RangeMatch(range)) => Some(HeaderValueMatch::Range(range.start..range.end)),
        Some(Wire::ExactMatch(exact)) if exact.is_empty() => Some(HeaderValueMatch::Present(true)),
        Some(Wire::ExactMatch(exact)) => text(StringMatch::Exact(exact)),
        Some(Wire::PrefixMatch(prefix)) => {
            text(StringMatch::Prefix(at.text("prefix_match", prefix)?))
        }
        Some(Wire::SuffixMatch(suffix)) => {
            text(StringMatch::Suffix(at.text("suffix_match", suffix)?))
        }
        Some(Wire::ContainsMatch(part)) => {
            text(StringMatch::Contains(at.text("contains_match", part)?))
        }
        Some(Wire::SafeRegexMatch(regex)) => {
            let regex = decode_regex(regex, &at.field("safe_regex_match"))?;
            text(StringMatch::Regex(regex))
        }
    }
}

pub(crate) fn encode_query(matcher: &QueryMatch) -> QueryParameterMatcher {
    QueryParameterMatcher {
        name: matcher.name.clone(),
        query_parameter_match_specifier: Some(match &matcher.value {
            None => QueryParameterMatchSpecifier::PresentMatch(true),
            Some(text) => QueryParameterMatchSpecifier::StringMatch(encode(text)),
        }),
    }
}

pub(crate) fn decode_query(mut wire: QueryParameterMatcher, at: &At<'_>) -> Option<QueryMatch> {
    let name = at.text("name", take(&mut wire.name));
    let value = match wire.query_parameter_match_specifier.take() {
        None | Some(QueryParameterMatchSpecifier::PresentMatch(true)) => Some(None),
        Some(QueryParameterMatchSpecifier::PresentMatch(false)) => at
            .field("present_match")
            .refuse("this proxy does not execute it"),
        Some(QueryParameterMatchSpecifier::StringMatch(matcher)) => {
            decode(matcher, &at.field("string_match")).map(Some)
        }
    };
    at.finish(wire);
    Some(QueryMatch {
        name: name?,
        value: value?,
    })
}
