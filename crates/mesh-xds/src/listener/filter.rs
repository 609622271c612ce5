//! What looks at a connection before its chain is picked.

use crate::{
    decode::{At, Extension},
    pb::{
        envoy::{
            config::listener::v3::{
                ListenerFilter as Wire, ListenerFilterChainMatchPredicate as Predicate,
                listener_filter::ConfigType,
                listener_filter_chain_match_predicate::{MatchSet, Rule},
            },
            extensions::filters::listener::{
                http_inspector::v3::HttpInspector, original_dst::v3::OriginalDst,
                tls_inspector::v3::TlsInspector,
            },
            r#type::v3::Int32Range,
        },
        pack_any,
    },
};
use mesh_model::listener::{ConnectionMatch, ListenerFilter, ListenerFilterKind};
use prost::Name;
use std::mem::take;

/// One above the highest port.
const PORTS: u32 = 65_536;

pub(super) fn encode(filter: &ListenerFilter) -> Wire {
    let (name, config) = match filter.kind {
        ListenerFilterKind::OriginalDst => ("original_dst", pack_any(OriginalDst {})),
        ListenerFilterKind::TlsInspector => ("tls_inspector", pack_any(TlsInspector::default())),
        ListenerFilterKind::HttpInspector => ("http_inspector", pack_any(HttpInspector {})),
    };
    Wire {
        name: format!("envoy.filters.listener.{name}"),
        filter_disabled: filter.disabled.as_ref().map(encode_predicate),
        config_type: Some(ConfigType::TypedConfig(config)),
    }
}

/// Sets have two members at least in Envoy, so that smaller ones are written as what they mean.
fn encode_predicate(predicate: &ConnectionMatch) -> Predicate {
    let set = |all: &[ConnectionMatch]| MatchSet {
        rules: all.iter().map(encode_predicate).collect(),
    };
    let rule = match predicate {
        ConnectionMatch::Any => Rule::AnyMatch(true),
        ConnectionMatch::DestinationPort(range) => Rule::DestinationPortRange(Int32Range {
            start: range.start.min(PORTS) as i32,
            end: range.end.min(PORTS) as i32,
        }),
        ConnectionMatch::Or(all) | ConnectionMatch::And(all) if all.len() == 1 => {
            return encode_predicate(&all[0]);
        }
        ConnectionMatch::And(all) if all.is_empty() => Rule::AnyMatch(true),
        ConnectionMatch::Or(all) if all.is_empty() => {
            Rule::NotMatch(Box::new(encode_predicate(&ConnectionMatch::Any)))
        }
        ConnectionMatch::Or(all) => Rule::OrMatch(set(all)),
        ConnectionMatch::And(all) => Rule::AndMatch(set(all)),
        ConnectionMatch::Not(inner) => Rule::NotMatch(Box::new(encode_predicate(inner))),
    };
    Predicate { rule: Some(rule) }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<ListenerFilter> {
    let disabled = at.optional(
        "filter_disabled",
        wire.filter_disabled.take(),
        decode_predicate,
    );
    let config = match wire.config_type.take() {
        Some(ConfigType::TypedConfig(config)) => Some(config),
        Some(ConfigType::ConfigDiscovery(_)) => {
            return at
                .field("config_discovery")
                .refuse("filters stand in the listener itself");
        }
        None => None,
    };
    wire.name.clear();
    at.finish(wire);
    let kind = at.required("typed_config", config, decode_kind);
    Some(ListenerFilter {
        kind: kind?,
        disabled: disabled?,
    })
}

fn decode_kind(
    config: crate::pb::google::protobuf::Any,
    at: &At<'_>,
) -> Option<ListenerFilterKind> {
    let config = Extension::open(config, at)?;
    if config.type_name == OriginalDst::full_name() {
        let wire: OriginalDst = config.message(at)?;
        at.finish(wire);
        Some(ListenerFilterKind::OriginalDst)
    } else if config.type_name == TlsInspector::full_name() {
        let wire: TlsInspector = config.message(at)?;
        at.finish(wire);
        Some(ListenerFilterKind::TlsInspector)
    } else {
        let wire: HttpInspector = config.message(at)?;
        at.finish(wire);
        Some(ListenerFilterKind::HttpInspector)
    }
}

fn decode_predicate(wire: Predicate, at: &At<'_>) -> Option<ConnectionMatch> {
    match wire.rule {
        Some(Rule::AnyMatch(true)) => Some(ConnectionMatch::Any),
        Some(Rule::AnyMatch(false)) => at.field("any_match").refuse("can only be true"),
        Some(Rule::DestinationPortRange(range)) => {
            decode_range(range, &at.field("destination_port_range"))
        }
        Some(Rule::OrMatch(set)) => decode_set(set, &at.field("or_match")).map(ConnectionMatch::Or),
        Some(Rule::AndMatch(set)) => {
            decode_set(set, &at.field("and_match")).map(ConnectionMatch::And)
        }
        Some(Rule::NotMatch(inner)) => {
            let inner = decode_predicate(*inner, &at.field("not_match"))?;
            Some(ConnectionMatch::Not(Box::new(inner)))
        }
        None => at.refuse("must be set"),
    }
}

fn decode_set(mut wire: MatchSet, at: &At<'_>) -> Option<Vec<ConnectionMatch>> {
    match take(&mut wire.rules) {
        rules if rules.len() < 2 => at.field("rules").refuse("has less than two members"),
        rules => at.list("rules", rules, decode_predicate),
    }
}

fn decode_range(wire: Int32Range, at: &At<'_>) -> Option<ConnectionMatch> {
    match (u32::try_from(wire.start), u32::try_from(wire.end)) {
        (Ok(start), Ok(end)) if start < end && end <= PORTS => {
            Some(ConnectionMatch::DestinationPort(start..end))
        }
        _ => at.refuse(format!(
            "{} to {} is no range of ports",
            wire.start, wire.end
        )),
    }
}
