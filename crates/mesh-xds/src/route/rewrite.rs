//! Which path and host a server is asked for.

use crate::{
    decode::{At, Extension},
    matcher,
    pb::{
        envoy::{
            config::{
                core::v3::TypedExtensionConfig,
                route::v3::{RouteAction as Wire, route_action::HostRewriteSpecifier},
            },
            extensions::path::rewrite::uri_template::v3::UriTemplateRewriteConfig,
        },
        google::protobuf::BoolValue,
        pack_any,
    },
};
use http::{
    HeaderName,
    uri::{Authority, PathAndQuery},
};
use mesh_model::route::{HostRewrite, PathRewrite, Rewrite, TemplateRewrite};
use std::mem::take;

/// Sets the fields of `wire` that rewrite.
pub(super) fn encode(rewrite: &Rewrite, wire: &mut Wire) {
    match &rewrite.path {
        None => {}
        Some(PathRewrite::Prefix(prefix)) => wire.prefix_rewrite = prefix.clone(),
        Some(PathRewrite::Regex(substitution)) => {
            wire.regex_rewrite = Some(matcher::encode_substitution(substitution));
        }
        Some(PathRewrite::Template(template)) => {
            wire.path_rewrite_policy = Some(TypedExtensionConfig {
                name: "envoy.path.rewrite.uri_template.uri_template_rewriter".into(),
                typed_config: Some(pack_any(UriTemplateRewriteConfig {
                    path_template_rewrite: template.as_str().into(),
                })),
            });
        }
    }
    wire.host_rewrite_specifier = rewrite.host.as_ref().map(|host| match host {
        HostRewrite::Literal(host) => HostRewriteSpecifier::HostRewriteLiteral(host.clone()),
        HostRewrite::Header(name) => HostRewriteSpecifier::HostRewriteHeader(name.clone()),
        HostRewrite::PathRegex(substitution) => {
            HostRewriteSpecifier::HostRewritePathRegex(matcher::encode_substitution(substitution))
        }
    });
    wire.append_x_forwarded_host = rewrite.append_x_forwarded_host;
}

/// Takes the fields of `wire` that rewrite.
pub(super) fn decode(wire: &mut Wire, at: &At<'_>) -> Option<Rewrite> {
    let path = decode_paths(wire, at);
    let host = decode_hosts(wire.host_rewrite_specifier.take(), at);
    Some(Rewrite {
        path: path?,
        host: host?,
        append_x_forwarded_host: take(&mut wire.append_x_forwarded_host),
    })
}

fn decode_paths(wire: &mut Wire, at: &At<'_>) -> Option<Option<PathRewrite>> {
    let prefix = Some(take(&mut wire.prefix_rewrite)).filter(|prefix| !prefix.is_empty());
    let prefix = at.optional("prefix_rewrite", prefix, decode_path);
    let regex = wire.regex_rewrite.take();
    let regex = at.optional("regex_rewrite", regex, matcher::decode_substitution);
    let policy = wire.path_rewrite_policy.take();
    let policy = at.optional("path_rewrite_policy", policy, decode_policy);
    match (prefix?, regex?, policy?) {
        (None, None, None) => Some(None),
        (Some(prefix), None, None) => Some(Some(PathRewrite::Prefix(prefix))),
        (None, Some(regex), None) => Some(Some(PathRewrite::Regex(regex))),
        (None, None, Some(template)) => Some(Some(PathRewrite::Template(template))),
        _ => at.refuse("rewrites the path in more than one way"),
    }
}

fn decode_policy(mut wire: TypedExtensionConfig, at: &At<'_>) -> Option<TemplateRewrite> {
    let config = at.required("typed_config", wire.typed_config.take(), Extension::open)?;
    let at = at.field("typed_config");
    let mut config = config.message::<UriTemplateRewriteConfig>(&at)?;
    let text = take(&mut config.path_template_rewrite);
    at.finish(config);
    match text.parse() {
        Ok(template) => Some(template),
        Err(error) => at
            .field("path_template_rewrite")
            .refuse(format!("{text:?} {error}")),
    }
}

/// A path, or the beginning of one, perhaps with a query.
pub(super) fn decode_path(path: String, at: &At<'_>) -> Option<String> {
    let after_slash = format!("/{path}");
    match PathAndQuery::try_from(after_slash.as_str()) {
        Ok(read) if read.as_str() == after_slash => Some(path),
        _ => at.refuse(format!("{path:?} is no path")),
    }
}

fn decode_hosts(wire: Option<HostRewriteSpecifier>, at: &At<'_>) -> Option<Option<HostRewrite>> {
    match wire {
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) if !host.is_empty() => {
            let host = decode_host(host, &at.field("host_rewrite_literal"));
            host.map(|host| Some(HostRewrite::Literal(host)))
        }
        Some(HostRewriteSpecifier::HostRewriteHeader(name)) if !name.is_empty() => {
            let name = decode_name(&name, &at.field("host_rewrite_header"));
            name.map(|name| Some(HostRewrite::Header(name)))
        }
        Some(HostRewriteSpecifier::HostRewritePathRegex(wire)) => {
            let at = at.field("host_rewrite_path_regex");
            let substitution = matcher::decode_substitution(wire, &at);
            substitution.map(|substitution| Some(HostRewrite::PathRegex(substitution)))
        }
        Some(HostRewriteSpecifier::AutoHostRewrite(BoolValue { value: true })) => at
            .field("auto_host_rewrite")
            .refuse("this proxy does not execute it"),
        Some(HostRewriteSpecifier::HostRewrite(format)) if !format.is_empty() => at
            .field("host_rewrite")
            .refuse("this proxy does not execute it"),
        _ => Some(None),
    }
}

/// A host, perhaps with a port.
pub(super) fn decode_host(host: String, at: &At<'_>) -> Option<String> {
    match Authority::try_from(host.as_str()) {
        Ok(_) => Some(host),
        Err(_) => at.refuse(format!("{host:?} is no host")),
    }
}

fn decode_name(name: &str, at: &At<'_>) -> Option<String> {
    match HeaderName::try_from(name) {
        Ok(name) => Some(name.as_str().to_owned()),
        Err(_) => at.refuse(format!("{name:?} is no name of a header")),
    }
}
