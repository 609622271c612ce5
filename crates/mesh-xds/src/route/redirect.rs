//! Where else a client is to ask.

use crate::{
    decode::{self, At},
    matcher,
    pb::envoy::config::route::v3::{
        RedirectAction as Wire,
        redirect_action::{PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier},
    },
    route::rewrite,
};
use http::uri::{Authority, Scheme};
use mesh_model::route::{PathRedirect, Redirect, RedirectStatus};
use std::mem::take;

/// What `https_redirect` stands for.
const HTTPS: &str = "https";

pub(super) fn encode(redirect: &Redirect) -> Wire {
    Wire {
        host_redirect: redirect.host.clone().unwrap_or_default(),
        port_redirect: redirect.port.map_or(0, u32::from),
        response_code: match redirect.status {
            RedirectStatus::MovedPermanently => RedirectResponseCode::MovedPermanently,
            RedirectStatus::Found => RedirectResponseCode::Found,
            RedirectStatus::SeeOther => RedirectResponseCode::SeeOther,
            RedirectStatus::TemporaryRedirect => RedirectResponseCode::TemporaryRedirect,
            RedirectStatus::PermanentRedirect => RedirectResponseCode::PermanentRedirect,
        }
        .into(),
        strip_query: redirect.strip_query,
        scheme_rewrite_specifier: redirect.scheme.as_deref().map(|scheme| match scheme {
            HTTPS => SchemeRewriteSpecifier::HttpsRedirect(true),
            other => SchemeRewriteSpecifier::SchemeRedirect(other.into()),
        }),
        path_rewrite_specifier: redirect.path.as_ref().map(|path| match path {
            PathRedirect::Path(path) => PathRewriteSpecifier::PathRedirect(path.clone()),
            PathRedirect::Prefix(prefix) => PathRewriteSpecifier::PrefixRewrite(prefix.clone()),
            PathRedirect::Regex(substitution) => {
                PathRewriteSpecifier::RegexRewrite(matcher::encode_substitution(substitution))
            }
        }),
    }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<Redirect> {
    let scheme = match wire.scheme_rewrite_specifier.take() {
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => Some(Some(HTTPS.to_owned())),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) if !scheme.is_empty() => {
            decode_scheme(scheme, &at.field("scheme_redirect")).map(Some)
        }
        _ => Some(None),
    };
    let host = decode_host(take(&mut wire.host_redirect), &at.field("host_redirect"));
    let port = match u16::try_from(take(&mut wire.port_redirect)) {
        Ok(port) => Some((port > 0).then_some(port)),
        Err(_) => at.field("port_redirect").refuse("is no port"),
    };
    let path = decode_path(wire.path_rewrite_specifier.take(), at);
    let code = take(&mut wire.response_code);
    let code = decode::variant::<RedirectResponseCode>(code, &at.field("response_code"));
    let strip_query = take(&mut wire.strip_query);
    at.finish(wire);
    Some(Redirect {
        scheme: scheme?,
        host: host?,
        port: port?,
        path: path?,
        strip_query,
        status: match code? {
            RedirectResponseCode::MovedPermanently => RedirectStatus::MovedPermanently,
            RedirectResponseCode::Found => RedirectStatus::Found,
            RedirectResponseCode::SeeOther => RedirectStatus::SeeOther,
            RedirectResponseCode::TemporaryRedirect => RedirectStatus::TemporaryRedirect,
            RedirectResponseCode::PermanentRedirect => RedirectStatus::PermanentRedirect,
        },
    })
}

fn decode_scheme(scheme: String, at: &At<'_>) -> Option<String> {
    match Scheme::try_from(scheme.as_str()) {
        Ok(_) => Some(scheme),
        Err(_) => at.refuse(format!("{scheme:?} is no scheme")),
    }
}

fn decode_host(host: String, at: &At<'_>) -> Option<Option<String>> {
    match Authority::try_from(host.as_str()) {
        _ if host.is_empty() => Some(None),
        Ok(_) => Some(Some(host)),
        Err(_) => at.refuse(format!("{host:?} is no host")),
    }
}

fn decode_path(wire: Option<PathRewriteSpecifier>, at: &At<'_>) -> Option<Option<PathRedirect>> {
    match wire {
        Some(PathRewriteSpecifier::PathRedirect(path)) if !path.is_empty() => {
            let path = rewrite::decode_path(path, &at.field("path_redirect"));
            path.map(|path| Some(PathRedirect::Path(path)))
        }
        Some(PathRewriteSpecifier::PrefixRewrite(prefix)) if !prefix.is_empty() => {
            let prefix = rewrite::decode_path(prefix, &at.field("prefix_rewrite"));
            prefix.map(|prefix| Some(PathRedirect::Prefix(prefix)))
        }
        Some(PathRewriteSpecifier::RegexRewrite(wire)) => {
            let substitution = matcher::decode_substitution(wire, &at.field("regex_rewrite"));
            substitution.map(|substitution| Some(PathRedirect::Regex(substitution)))
        }
        _ => Some(None),
    }
}
