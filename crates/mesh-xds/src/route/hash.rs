//! Hash policies ↔ Envoy `RouteAction.HashPolicy`.

use crate::{
    decode::{self, At, wire_duration},
    pb::envoy::config::route::v3::route_action::{
        HashPolicy as Wire,
        hash_policy::{
            ConnectionProperties, Cookie, CookieAttribute, Header, PolicySpecifier, QueryParameter,
        },
    },
};
use mesh_model::route::{HashBy, HashCookie, HashPolicy};
use std::mem::take;

pub(super) fn encode(policy: &HashPolicy) -> Wire {
    Wire {
        terminal: policy.terminal,
        policy_specifier: Some(match &policy.by {
            HashBy::Header(name) => PolicySpecifier::Header(Header {
                header_name: name.clone(),
                regex_rewrite: None,
            }),
            HashBy::Cookie(cookie) => PolicySpecifier::Cookie(Cookie {
                name: cookie.name.clone(),
                ttl: cookie.ttl.map(wire_duration),
                path: cookie.path.clone(),
                attributes: cookie.attributes.iter().map(encode_attribute).collect(),
            }),
            HashBy::SourceIp => {
                PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })
            }
            HashBy::QueryParameter(name) => {
                PolicySpecifier::QueryParameter(QueryParameter { name: name.clone() })
            }
        }),
    }
}

fn encode_attribute((name, value): &(String, String)) -> CookieAttribute {
    CookieAttribute {
        name: name.clone(),
        value: value.clone(),
    }
}

/// `None` inside: the policy says to hash nothing.
pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<Option<HashPolicy>> {
    let terminal = take(&mut wire.terminal);
    let by = match wire.policy_specifier.take() {
        Some(PolicySpecifier::Header(wire)) => decode_header(wire, &at.field("header")),
        Some(PolicySpecifier::Cookie(wire)) => decode_cookie(wire, &at.field("cookie")),
        Some(PolicySpecifier::ConnectionProperties(wire)) => match wire.source_ip {
            true => Some(HashBy::SourceIp),
            false => return Some(None),
        },
        Some(PolicySpecifier::QueryParameter(mut wire)) => {
            let at = at.field("query_parameter");
            let name = at.text("name", take(&mut wire.name));
            name.map(HashBy::QueryParameter)
        }
        Some(PolicySpecifier::FilterState(_)) => at
            .field("filter_state")
            .refuse("this proxy keeps no such state"),
        None => at.field("policy_specifier").refuse("must be set"),
    };
    at.finish(wire);
    Some(Some(HashPolicy { by: by?, terminal }))
}

fn decode_header(mut wire: Header, at: &At<'_>) -> Option<HashBy> {
    let name = at.text("header_name", take(&mut wire.header_name));
    at.finish(wire);
    Some(HashBy::Header(name?.to_ascii_lowercase()))
}

fn decode_cookie(mut wire: Cookie, at: &At<'_>) -> Option<HashBy> {
    let name = take(&mut wire.name);
    let name = at
        .text("name", name)
        .and_then(|name| token(name, &at.field("name")));
    let ttl = at.optional("ttl", wire.ttl.take(), decode::duration);
    let path = attribute(take(&mut wire.path), &at.field("path"));
    let attributes = at.list("attributes", take(&mut wire.attributes), decode_attribute);
    at.finish(wire);
    Some(HashBy::Cookie(HashCookie {
        name: name?,
        ttl: ttl?,
        path: path?,
        attributes: attributes?,
    }))
}

fn decode_attribute(mut wire: CookieAttribute, at: &At<'_>) -> Option<(String, String)> {
    let name = attribute(take(&mut wire.name), &at.field("name"));
    let name = name.and_then(|name| at.text("name", name));
    let value = attribute(take(&mut wire.value), &at.field("value"));
    at.finish(wire);
    Some((name?, value?))
}

/// A name as it can stand before the `=` of a cookie.
fn token(name: String, at: &At<'_>) -> Option<String> {
    let name = attribute(name, at)?;
    match name.contains(['=', ' ', '"', ',']) {
        true => at.refuse(format!("{name:?} cannot be the name of a cookie")),
        false => Some(name),
    }
}

/// Text that goes into `set-cookie`: nothing of it may end its part.
fn attribute(text: String, at: &At<'_>) -> Option<String> {
    let ends = |c: char| c == ';' || c.is_control() || !c.is_ascii();
    match text.contains(ends) {
        true => at.refuse(format!("{text:?} cannot stand in a cookie")),
        false => Some(text),
    }
}
