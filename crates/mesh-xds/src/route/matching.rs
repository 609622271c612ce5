//! Which requests a route takes.

use crate::{
    decode::{At, Extension, Wrapped},
    matcher,
    pb::{
        envoy::{
            config::{
                core::v3::TypedExtensionConfig,
                route::v3::{RouteMatch as Wire, route_match::PathSpecifier},
            },
            extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig,
        },
        google::protobuf::BoolValue,
        pack_any,
    },
};
use mesh_model::route::{PathMatch, RouteMatch};
use std::mem::take;

pub(crate) fn encode(matches: &RouteMatch) -> Wire {
    Wire {
        path_specifier: Some(match matches.path.clone() {
            PathMatch::Prefix(prefix) => PathSpecifier::Prefix(prefix),
            PathMatch::Exact(path) => PathSpecifier::Path(path),
            PathMatch::SeparatedPrefix(prefix) => PathSpecifier::PathSeparatedPrefix(prefix),
            PathMatch::Regex(regex) => PathSpecifier::SafeRegex(matcher::encode_regex(&regex)),
            PathMatch::Template(template) => PathSpecifier::PathMatchPolicy(TypedExtensionConfig {
                name: "envoy.path.match.uri_template.uri_template_matcher".into(),
                typed_config: Some(pack_any(UriTemplateMatchConfig {
                    path_template: template.as_str().into(),
                })),
            }),
        }),
        case_sensitive: matches.ignore_case.then(|| BoolValue::wrap(false)),
        headers: matches.headers.iter().map(matcher::encode_header).collect(),
        query_parameters: matches.query.iter().map(matcher::encode_query).collect(),
        runtime_fraction: matches.fraction.map(matcher::encode_fraction),
        ..Default::default()
    }
}

pub(crate) fn decode(mut wire: Wire, at: &At<'_>) -> Option<RouteMatch> {
    let path = match wire.path_specifier.take() {
        Some(PathSpecifier::Prefix(prefix)) => Some(PathMatch::Prefix(prefix)),
        Some(PathSpecifier::Path(path)) => Some(PathMatch::Exact(path)),
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            decode_separated(prefix, &at.field("path_separated_prefix"))
        }
        Some(PathSpecifier::SafeRegex(regex)) => {
            matcher::decode_regex(regex, &at.field("safe_regex")).map(PathMatch::Regex)
        }
        Some(PathSpecifier::ConnectMatcher(_)) => at
            .field("connect_matcher")
            .refuse("this proxy does not execute it"),
        Some(PathSpecifier::PathMatchPolicy(policy)) => {
            decode_policy(policy, &at.field("path_match_policy"))
        }
        None => at.field("path_specifier").refuse("must be set"),
    };
    let case_sensitive = wire.case_sensitive.take().is_none_or(Wrapped::inner);
    let headers = take(&mut wire.headers);
    let headers = at.list("headers", headers, matcher::decode_header);
    let query = take(&mut wire.query_parameters);
    let query = at.list("query_parameters", query, matcher::decode_query);
    let fraction = wire.runtime_fraction.take();
    let fraction = at.optional("runtime_fraction", fraction, matcher::decode_fraction);
    at.finish(wire);
    Some(RouteMatch {
        path: path?,
        ignore_case: !case_sensitive,
        headers: headers?,
        query: query?,
        fraction: fraction?,
    })
}

fn decode_policy(mut wire: TypedExtensionConfig, at: &At<'_>) -> Option<PathMatch> {
    let config = at.required("typed_config", wire.typed_config.take(), Extension::open)?;
    let at = at.field("typed_config");
    let mut config = config.message::<UriTemplateMatchConfig>(&at)?;
    let text = take(&mut config.path_template);
    at.finish(config);
    match text.parse() {
        Ok(template) => Some(PathMatch::Template(template)),
        Err(error) => at
            .field("path_template")
            .refuse(format!("{text:?} {error}")),
    }
}

/// As Envoy has it: at least two characters, no query, no slash at the end.
fn decode_separated(prefix: String, at: &At<'_>) -> Option<PathMatch> {
    let query = prefix.contains(['?', '#']);
    match query || prefix.ends_with('/') || prefix.chars().count() < 2 {
        true => at.refuse(format!("{prefix:?} is no path before a slash")),
        false => Some(PathMatch::SeparatedPrefix(prefix)),
    }
}
