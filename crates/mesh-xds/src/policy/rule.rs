//! What is done and who does it: permissions and principals.

use super::metadata;
use crate::{
    address,
    decode::{self, At, Extension},
    matcher,
    pb::{
        envoy::{
            config::{
                core::v3::TypedExtensionConfig,
                rbac::v3::{
                    MetadataSource, Permission as WirePermission, Principal as WirePrincipal,
                    SourcedMetadata,
                    permission::{self, Rule},
                    principal::{self, Authenticated, Identifier},
                },
            },
            extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig,
            r#type::{
                matcher::v3::{
                    FilterStateMatcher, PathMatcher, filter_state_matcher, path_matcher,
                },
                v3::Int32Range,
            },
        },
        pack_any,
    },
};
use mesh_model::{
    matcher::{PathTemplate, StringMatcher},
    policy::{
        MetadataMatch,
        rbac::{PEER_PRINCIPAL, Permission, Principal},
    },
};
use std::{mem::take, ops::Range};

/// One above the highest port.
const PORTS: u32 = 65_536;

#[allow(deprecated)] // the form of metadata that Istio sends
pub(super) fn encode_permission(permission: &Permission) -> WirePermission {
    let set = |all: &[Permission]| permission::Set {
        rules: all.iter().map(encode_permission).collect(),
    };
    let rule = match permission {
        Permission::Any => Rule::Any(true),
        Permission::And(all) => Rule::AndRules(set(all)),
        Permission::Or(all) => Rule::OrRules(set(all)),
        Permission::Not(inner) => Rule::NotRule(Box::new(encode_permission(inner))),
        Permission::Header(header) => Rule::Header(matcher::encode_header(header)),
        Permission::Path(path) => Rule::UrlPath(encode_path(path)),
        Permission::Template(template) => Rule::UriTemplate(TypedExtensionConfig {
            name: "uri-template".into(),
            typed_config: Some(pack_any(UriTemplateMatchConfig {
                path_template: template.as_str().into(),
            })),
        }),
        Permission::DestinationIp(net) => Rule::DestinationIp(address::encode_net(net)),
        Permission::DestinationPort(range) if range.end - range.start == 1 => {
            Rule::DestinationPort(range.start)
        }
        Permission::DestinationPort(range) => Rule::DestinationPortRange(Int32Range {
            start: range.start.min(PORTS) as i32,
            end: range.end.min(PORTS) as i32,
        }),
        Permission::Metadata(matcher) => Rule::Metadata(metadata::encode(matcher)),
        Permission::ServerName(name) => Rule::RequestedServerName(matcher::encode(name)),
    };
    WirePermission { rule: Some(rule) }
}

#[allow(deprecated)]
pub(super) fn decode_permission(wire: WirePermission, at: &At<'_>) -> Option<Permission> {
    let set = |set: permission::Set, at: &At<'_>| {
        some(set.rules, at).and_then(|rules| at.list("rules", rules, decode_permission))
    };
    match wire.rule {
        Some(Rule::Any(any)) => only_true(any, at).map(|()| Permission::Any),
        Some(Rule::AndRules(all)) => set(all, &at.field("and_rules")).map(Permission::And),
        Some(Rule::OrRules(all)) => set(all, &at.field("or_rules")).map(Permission::Or),
        Some(Rule::NotRule(inner)) => {
            let inner = decode_permission(*inner, &at.field("not_rule"))?;
            Some(Permission::Not(Box::new(inner)))
        }
        Some(Rule::Header(header)) => {
            matcher::decode_header(header, &at.field("header")).map(Permission::Header)
        }
        Some(Rule::UrlPath(path)) => decode_path(path, &at.field("url_path")).map(Permission::Path),
        Some(Rule::UriTemplate(template)) => {
            decode_template(template, &at.field("uri_template")).map(Permission::Template)
        }
        Some(Rule::DestinationIp(net)) => {
            address::decode_net(net, &at.field("destination_ip")).map(Permission::DestinationIp)
        }
        Some(Rule::DestinationPort(port)) if port < PORTS => {
            Some(Permission::DestinationPort(port..port + 1))
        }
        Some(Rule::DestinationPort(port)) => at
            .field("destination_port")
            .refuse(format!("{port} is no port")),
        Some(Rule::DestinationPortRange(range)) => {
            decode_ports(range, &at.field("destination_port_range"))
                .map(Permission::DestinationPort)
        }
        Some(Rule::Metadata(matcher)) => {
            metadata::decode(matcher, &at.field("metadata")).map(Permission::Metadata)
        }
        Some(Rule::SourcedMetadata(sourced)) => {
            decode_sourced(sourced, &at.field("sourced_metadata")).map(Permission::Metadata)
        }
        Some(Rule::RequestedServerName(name)) => {
            matcher::decode(name, &at.field("requested_server_name")).map(Permission::ServerName)
        }
        Some(Rule::Matcher(_)) => at.field("matcher").refuse("this proxy does not execute it"),
        None => at.refuse("must be set"),
    }
}

#[allow(deprecated)]
pub(super) fn encode_principal(principal: &Principal) -> WirePrincipal {
    let set = |all: &[Principal]| principal::Set {
        ids: all.iter().map(encode_principal).collect(),
    };
    let identifier = match principal {
        Principal::Any => Identifier::Any(true),
        Principal::And(all) => Identifier::AndIds(set(all)),
        Principal::Or(all) => Identifier::OrIds(set(all)),
        Principal::Not(inner) => Identifier::NotId(Box::new(encode_principal(inner))),
        Principal::Authenticated(name) => Identifier::Authenticated(Authenticated {
            principal_name: name.as_ref().map(matcher::encode),
        }),
        Principal::PeerPrincipal(name) => Identifier::FilterState(FilterStateMatcher {
            key: PEER_PRINCIPAL.into(),
            matcher: Some(filter_state_matcher::Matcher::StringMatch(matcher::encode(
                name,
            ))),
        }),
        Principal::PeerIp(net) => Identifier::DirectRemoteIp(address::encode_net(net)),
        Principal::RemoteIp(net) => Identifier::RemoteIp(address::encode_net(net)),
        Principal::Header(header) => Identifier::Header(matcher::encode_header(header)),
        Principal::Path(path) => Identifier::UrlPath(encode_path(path)),
        Principal::Metadata(matcher) => Identifier::Metadata(metadata::encode(matcher)),
    };
    WirePrincipal {
        identifier: Some(identifier),
    }
}

#[allow(deprecated)]
pub(super) fn decode_principal(wire: WirePrincipal, at: &At<'_>) -> Option<Principal> {
    let set = |set: principal::Set, at: &At<'_>| {
        some(set.ids, at).and_then(|ids| at.list("ids", ids, decode_principal))
    };
    match wire.identifier {
        Some(Identifier::Any(any)) => only_true(any, at).map(|()| Principal::Any),
        Some(Identifier::AndIds(all)) => set(all, &at.field("and_ids")).map(Principal::And),
        Some(Identifier::OrIds(all)) => set(all, &at.field("or_ids")).map(Principal::Or),
        Some(Identifier::NotId(inner)) => {
            let inner = decode_principal(*inner, &at.field("not_id"))?;
            Some(Principal::Not(Box::new(inner)))
        }
        Some(Identifier::Authenticated(authenticated)) => {
            let at = at.field("authenticated");
            let name = authenticated.principal_name;
            at.optional("principal_name", name, matcher::decode)
                .map(Principal::Authenticated)
        }
        Some(Identifier::FilterState(state)) => {
            decode_state(state, &at.field("filter_state")).map(Principal::PeerPrincipal)
        }
        Some(Identifier::SourceIp(net)) => {
            address::decode_net(net, &at.field("source_ip")).map(Principal::PeerIp)
        }
        Some(Identifier::DirectRemoteIp(net)) => {
            address::decode_net(net, &at.field("direct_remote_ip")).map(Principal::PeerIp)
        }
        Some(Identifier::RemoteIp(net)) => {
            address::decode_net(net, &at.field("remote_ip")).map(Principal::RemoteIp)
        }
        Some(Identifier::Header(header)) => {
            matcher::decode_header(header, &at.field("header")).map(Principal::Header)
        }
        Some(Identifier::UrlPath(path)) => {
            decode_path(path, &at.field("url_path")).map(Principal::Path)
        }
        Some(Identifier::Metadata(matcher)) => {
            metadata::decode(matcher, &at.field("metadata")).map(Principal::Metadata)
        }
        Some(Identifier::SourcedMetadata(sourced)) => {
            decode_sourced(sourced, &at.field("sourced_metadata")).map(Principal::Metadata)
        }
        Some(Identifier::Custom(_)) => at.field("custom").refuse("this proxy does not execute it"),
        None => at.refuse("must be set"),
    }
}

/// Members of a set, which must have one.
fn some<T>(all: Vec<T>, at: &At<'_>) -> Option<Vec<T>> {
    match all.is_empty() {
        true => at.refuse("has no member"),
        false => Some(all),
    }
}

fn only_true(any: bool, at: &At<'_>) -> Option<()> {
    match any {
        true => Some(()),
        false => at.field("any").refuse("can only be true"),
    }
}

fn encode_path(path: &StringMatcher) -> PathMatcher {
    PathMatcher {
        rule: Some(path_matcher::Rule::Path(matcher::encode(path))),
    }
}

fn decode_path(wire: PathMatcher, at: &At<'_>) -> Option<StringMatcher> {
    let path = wire.rule.map(|path_matcher::Rule::Path(path)| path);
    at.required("path", path, matcher::decode)
}

fn decode_template(mut wire: TypedExtensionConfig, at: &At<'_>) -> Option<PathTemplate> {
    wire.name.clear();
    let config = wire.typed_config.take();
    at.finish(wire);
    let config = at.required("typed_config", config, Extension::open)?;
    let at = at.field("typed_config");
    let mut config: UriTemplateMatchConfig = config.message(&at)?;
    let text = take(&mut config.path_template);
    at.finish(config);
    match PathTemplate::new(&text) {
        Ok(template) => Some(template),
        Err(error) => at
            .field("path_template")
            .refuse(format!("{text:?} {error}")),
    }
}

fn decode_ports(wire: Int32Range, at: &At<'_>) -> Option<Range<u32>> {
    match (u32::try_from(wire.start), u32::try_from(wire.end)) {
        (Ok(start), Ok(end)) if start < end && end <= PORTS => Some(start..end),
        _ => at.refuse(format!(
            "{} to {} is no range of ports",
            wire.start, wire.end
        )),
    }
}

fn decode_sourced(mut wire: SourcedMetadata, at: &At<'_>) -> Option<MetadataMatch> {
    let source = decode::variant(
        take(&mut wire.metadata_source),
        &at.field("metadata_source"),
    );
    let matcher = wire.metadata_matcher.take();
    let matcher = at.required("metadata_matcher", matcher, metadata::decode);
    at.finish(wire);
    match source? {
        MetadataSource::Dynamic => matcher,
        MetadataSource::Route => at
            .field("metadata_source")
            .refuse("this proxy keeps no metadata of routes"),
    }
}

/// The one filter state that there is.
fn decode_state(mut wire: FilterStateMatcher, at: &At<'_>) -> Option<StringMatcher> {
    let key = take(&mut wire.key);
    let matcher = wire.matcher.take();
    at.finish(wire);
    if key != PEER_PRINCIPAL {
        return at
            .field("key")
            .refuse(format!("no filter of this proxy keeps {key:?}"));
    }
    match matcher {
        Some(filter_state_matcher::Matcher::StringMatch(text)) => {
            matcher::decode(text, &at.field("string_match"))
        }
        Some(filter_state_matcher::Matcher::AddressMatch(_)) => at
            .field("address_match")
            .refuse("an identity is no address"),
        None => at.refuse("must be set"),
    }
}
