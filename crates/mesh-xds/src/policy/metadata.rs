//! Matchers of what filters wrote about a request.

use crate::{
    decode::At,
    matcher,
    pb::envoy::r#type::matcher::v3::{
        ListMatcher, MetadataMatcher as Wire, OrMatcher, ValueMatcher, list_matcher,
        metadata_matcher::{PathSegment, path_segment::Segment},
        value_matcher::{MatchPattern, NullMatch},
    },
};
use mesh_model::policy::{MetadataMatch, ValueMatch};
use std::mem::take;

pub(super) fn encode(matcher: &MetadataMatch) -> Wire {
    let segment = |key: &String| PathSegment {
        segment: Some(Segment::Key(key.clone())),
    };
    Wire {
        filter: matcher.filter.clone(),
        path: matcher.path.iter().map(segment).collect(),
        value: Some(encode_value(&matcher.value)),
        invert: matcher.invert,
    }
}

fn encode_value(value: &ValueMatch) -> ValueMatcher {
    let pattern = match value {
        ValueMatch::Null => MatchPattern::NullMatch(NullMatch {}),
        ValueMatch::String(text) => MatchPattern::StringMatch(matcher::encode(text)),
        ValueMatch::Bool(value) => MatchPattern::BoolMatch(*value),
        ValueMatch::Present(present) => MatchPattern::PresentMatch(*present),
        ValueMatch::OneOf(inner) => MatchPattern::ListMatch(Box::new(ListMatcher {
            match_pattern: Some(list_matcher::MatchPattern::OneOf(Box::new(encode_value(
                inner,
            )))),
        })),
        ValueMatch::Or(all) => MatchPattern::OrMatch(OrMatcher {
            value_matchers: all.iter().map(encode_value).collect(),
        }),
    };
    ValueMatcher {
        match_pattern: Some(pattern),
    }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<MetadataMatch> {
    let filter = at.text("filter", take(&mut wire.filter));
    let path = match take(&mut wire.path) {
        path if path.is_empty() => at.field("path").refuse("must be set"),
        path => at.list("path", path, |segment, at| match segment.segment {
            Some(Segment::Key(key)) => at.text("key", key),
            None => at.refuse("must be set"),
        }),
    };
    let value = at.required("value", wire.value.take(), decode_value);
    let invert = take(&mut wire.invert);
    at.finish(wire);
    Some(MetadataMatch {
        filter: filter?,
        path: path?,
        value: value?,
        invert,
    })
}

fn decode_value(wire: ValueMatcher, at: &At<'_>) -> Option<ValueMatch> {
    match wire.match_pattern {
        Some(MatchPattern::NullMatch(_)) => Some(ValueMatch::Null),
        Some(MatchPattern::DoubleMatch(_)) => at
            .field("double_match")
            .refuse("this proxy does not execute it"),
        Some(MatchPattern::StringMatch(text)) => {
            matcher::decode(text, &at.field("string_match")).map(ValueMatch::String)
        }
        Some(MatchPattern::BoolMatch(value)) => Some(ValueMatch::Bool(value)),
        Some(MatchPattern::PresentMatch(present)) => Some(ValueMatch::Present(present)),
        Some(MatchPattern::ListMatch(list)) => {
            let at = at.field("list_match");
            match list.match_pattern {
                Some(list_matcher::MatchPattern::OneOf(inner)) => {
                    let inner = decode_value(*inner, &at.field("one_of"))?;
                    Some(ValueMatch::OneOf(Box::new(inner)))
                }
                None => at.refuse("must be set"),
            }
        }
        Some(MatchPattern::OrMatch(or)) => {
            let at = at.field("or_match");
            match or.value_matchers {
                all if all.len() < 2 => at
                    .field("value_matchers")
                    .refuse("has less than two members"),
                all => at
                    .list("value_matchers", all, decode_value)
                    .map(ValueMatch::Or),
            }
        }
        None => at.refuse("must be set"),
    }
}
