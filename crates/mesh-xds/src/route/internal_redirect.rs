//! Redirects that are followed here instead of by the client.

use crate::{
    decode::{At, Extension, Wrapped},
    pb::{
        envoy::{
            config::{core::v3::TypedExtensionConfig, route::v3::InternalRedirectPolicy as Wire},
            extensions::internal_redirect::{
                allow_listed_routes::v3::AllowListedRoutesConfig,
                previous_routes::v3::PreviousRoutesConfig,
                safe_cross_scheme::v3::SafeCrossSchemeConfig,
            },
        },
        google::protobuf::UInt32Value,
        pack_any,
    },
};
use http::HeaderName;
use mesh_model::route::{InternalRedirects, RedirectPredicate};
use prost::Name;
use std::mem::take;

/// Most headers that are copied, as Envoy has it.
const MOST_COPIED: usize = 50;

pub(super) fn encode(policy: &InternalRedirects) -> Wire {
    let statuses = policy.statuses.iter();
    Wire {
        max_internal_redirects: Some(UInt32Value::wrap(policy.most)),
        redirect_response_codes: statuses.map(|status| u32::from(*status)).collect(),
        predicates: policy.predicates.iter().map(encode_predicate).collect(),
        allow_cross_scheme_redirect: policy.allow_cross_scheme,
        response_headers_to_copy: policy.headers_to_copy.clone(),
    }
}

fn encode_predicate(predicate: &RedirectPredicate) -> TypedExtensionConfig {
    let (name, config) = match predicate {
        RedirectPredicate::AllowListedRoutes(names) => (
            "envoy.internal_redirect_predicates.allow_listed_routes",
            pack_any(AllowListedRoutesConfig {
                allowed_route_names: names.clone(),
            }),
        ),
        RedirectPredicate::PreviousRoutes => (
            "envoy.internal_redirect_predicates.previous_routes",
            pack_any(PreviousRoutesConfig {}),
        ),
        RedirectPredicate::SafeCrossScheme => (
            "envoy.internal_redirect_predicates.safe_cross_scheme",
            pack_any(SafeCrossSchemeConfig {}),
        ),
    };
    TypedExtensionConfig {
        name: name.into(),
        typed_config: Some(config),
    }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<InternalRedirects> {
    let most = wire.max_internal_redirects.take().map_or(1, Wrapped::inner);
    let statuses = take(&mut wire.redirect_response_codes);
    let statuses = at.list("redirect_response_codes", statuses, decode_status);
    let predicates = take(&mut wire.predicates);
    let predicates = at.list("predicates", predicates, decode_predicate);
    let allow_cross_scheme = take(&mut wire.allow_cross_scheme_redirect);
    let copied = take(&mut wire.response_headers_to_copy);
    let copied = at.list("response_headers_to_copy", copied, decode_name);
    at.finish(wire);
    let (mut statuses, headers_to_copy) = (statuses?, copied?);
    if statuses.is_empty() {
        statuses.push(302);
    }
    let twice = |(n, name): (usize, &String)| headers_to_copy[..n].contains(name);
    if headers_to_copy.iter().enumerate().any(twice) {
        let at = at.field("response_headers_to_copy");
        return at.refuse("names a header twice");
    }
    if headers_to_copy.len() > MOST_COPIED {
        let at = at.field("response_headers_to_copy");
        return at.refuse(format!("are more than {MOST_COPIED}"));
    }
    Some(InternalRedirects {
        most,
        statuses,
        allow_cross_scheme,
        headers_to_copy,
        predicates: predicates?,
    })
}

fn decode_status(wire: u32, at: &At<'_>) -> Option<u16> {
    match wire {
        301..=303 | 307 | 308 => u16::try_from(wire).ok(),
        _ => at.refuse(format!("{wire} is no redirect")),
    }
}

/// What a request says of its target, and what is between two neighbours only, is not a server's to say.
fn decode_name(wire: String, at: &At<'_>) -> Option<String> {
    match HeaderName::try_from(wire.as_str()) {
        Ok(name) if name != http::header::HOST => Some(name.as_str().to_owned()),
        _ => at.refuse(format!("{wire:?} is no header that may be copied")),
    }
}

fn decode_predicate(mut wire: TypedExtensionConfig, at: &At<'_>) -> Option<RedirectPredicate> {
    let config = at.required("typed_config", wire.typed_config.take(), Extension::open)?;
    let at = at.field("typed_config");
    let is = |full_name: String| config.type_name == full_name;
    if is(AllowListedRoutesConfig::full_name()) {
        let mut config = config.message::<AllowListedRoutesConfig>(&at)?;
        let names = take(&mut config.allowed_route_names);
        at.finish(config);
        Some(RedirectPredicate::AllowListedRoutes(names))
    } else if is(PreviousRoutesConfig::full_name()) {
        let _: PreviousRoutesConfig = config.message(&at)?;
        Some(RedirectPredicate::PreviousRoutes)
    } else if is(SafeCrossSchemeConfig::full_name()) {
        let _: SafeCrossSchemeConfig = config.message(&at)?;
        Some(RedirectPredicate::SafeCrossScheme)
    } else {
        config.unknown(&at)
    }
}
