//! Role based access control, of HTTP and of connections.

use super::rule;
use crate::{
    decode::{self, At},
    pb::{
        envoy::{
            config::rbac::v3::{
                Policy as WirePolicy, Rbac as WireRules, rbac::Action as WireAction,
            },
            extensions::filters::{
                http::rbac::v3::{Rbac as Wire, RbacPerRoute},
                network::rbac::v3::{Rbac as WireNetwork, rbac::EnforcementType},
            },
        },
        google::protobuf::Any,
    },
    sorted::With,
};
use mesh_model::policy::rbac::{Action, NetworkRbac, Policy, Rbac, Rules};
use prost::{Message, Name};
use std::{collections::BTreeMap, mem::take};

/// Rules with their map in order; see [`sorted`](crate::sorted).
#[derive(Clone, PartialEq, Message)]
struct SortedRules {
    #[prost(enumeration = "WireAction", tag = "1")]
    action: i32,
    #[prost(btree_map = "string, message", tag = "2")]
    policies: BTreeMap<String, WirePolicy>,
}

/// The fields with maps inside, which have the same numbers in both filters.
#[derive(Clone, PartialEq, Message)]
struct Tail {
    #[prost(message, optional, tag = "1")]
    rules: Option<SortedRules>,
    #[prost(message, optional, tag = "2")]
    shadow_rules: Option<SortedRules>,
}

/// The field of `RBACPerRoute`.
#[derive(Clone, PartialEq, Message)]
struct PerRoute {
    #[prost(message, optional, tag = "2")]
    rbac: Option<With<Wire, Tail>>,
}

/// The filter's configuration.
pub(crate) fn encode(rbac: &Rbac) -> Any {
    Any {
        type_url: Wire::type_url(),
        value: message(rbac).encode_to_vec(),
    }
}

/// What a route puts in its place.
pub(crate) fn encode_override(rbac: &Rbac) -> Any {
    let per_route = PerRoute {
        rbac: Some(message(rbac)),
    };
    Any {
        type_url: RbacPerRoute::type_url(),
        value: per_route.encode_to_vec(),
    }
}

fn message(rbac: &Rbac) -> With<Wire, Tail> {
    let head = Wire {
        rules_stat_prefix: rbac.stat_prefix.clone(),
        shadow_rules_stat_prefix: rbac.shadow_stat_prefix.clone(),
        ..Default::default()
    };
    With(head, tail(&rbac.rules, &rbac.shadow_rules))
}

/// The network filter's configuration.
pub(crate) fn encode_network(rbac: &NetworkRbac) -> Any {
    let head = WireNetwork {
        stat_prefix: rbac.stat_prefix.clone(),
        shadow_rules_stat_prefix: rbac.shadow_stat_prefix.clone(),
        ..Default::default()
    };
    Any {
        type_url: WireNetwork::type_url(),
        value: With(head, tail(&rbac.rules, &rbac.shadow_rules)).encode_to_vec(),
    }
}

fn tail(rules: &Option<Rules>, shadow_rules: &Option<Rules>) -> Tail {
    Tail {
        rules: rules.as_ref().map(encode_rules),
        shadow_rules: shadow_rules.as_ref().map(encode_rules),
    }
}

fn encode_rules(rules: &Rules) -> SortedRules {
    let action = match rules.action {
        Action::Allow => WireAction::Allow,
        Action::Deny => WireAction::Deny,
        Action::Log => WireAction::Log,
    };
    let policies = rules.policies.iter();
    SortedRules {
        action: action.into(),
        policies: policies
            .map(|policy| (policy.name.clone(), encode_policy(policy)))
            .collect(),
    }
}

fn encode_policy(policy: &Policy) -> WirePolicy {
    WirePolicy {
        permissions: (policy.permissions.iter())
            .map(rule::encode_permission)
            .collect(),
        principals: (policy.principals.iter())
            .map(rule::encode_principal)
            .collect(),
        ..Default::default()
    }
}

pub(crate) fn decode(mut wire: Wire, at: &At<'_>) -> Option<Rbac> {
    let rules = at.optional("rules", wire.rules.take(), decode_rules);
    let shadow = at.optional("shadow_rules", wire.shadow_rules.take(), decode_rules);
    let stat_prefix = take(&mut wire.rules_stat_prefix);
    let shadow_stat_prefix = take(&mut wire.shadow_rules_stat_prefix);
    if take(&mut wire.track_per_rule_stats) {
        let at = at.field("track_per_rule_stats");
        at.ignore("only adds statistics");
    }
    at.finish(wire);
    Some(Rbac {
        rules: rules?,
        shadow_rules: shadow?,
        stat_prefix,
        shadow_stat_prefix,
    })
}

/// Without a configuration there is no access control.
pub(crate) fn decode_override(mut wire: RbacPerRoute, at: &At<'_>) -> Option<Rbac> {
    let rbac = at.optional("rbac", wire.rbac.take(), decode);
    at.finish(wire);
    rbac.map(Option::unwrap_or_default)
}

pub(crate) fn decode_network(mut wire: WireNetwork, at: &At<'_>) -> Option<NetworkRbac> {
    let rules = at.optional("rules", wire.rules.take(), decode_rules);
    let shadow = at.optional("shadow_rules", wire.shadow_rules.take(), decode_rules);
    let stat_prefix = at.text("stat_prefix", take(&mut wire.stat_prefix));
    let shadow_stat_prefix = take(&mut wire.shadow_rules_stat_prefix);
    let kind = take(&mut wire.enforcement_type);
    let kind: Option<EnforcementType> = decode::variant(kind, &at.field("enforcement_type"));
    at.finish(wire);
    if kind? == EnforcementType::Continuous {
        return at
            .field("enforcement_type")
            .refuse("a connection is judged once, at its beginning");
    }
    Some(NetworkRbac {
        rules: rules?,
        shadow_rules: shadow?,
        stat_prefix: stat_prefix?,
        shadow_stat_prefix,
    })
}

fn decode_rules(mut wire: WireRules, at: &At<'_>) -> Option<Rules> {
    let action = decode::variant(take(&mut wire.action), &at.field("action"));
    let policies = BTreeMap::from_iter(take(&mut wire.policies));
    let place = at.field("policies");
    let mut all = Some(Vec::new());
    for (name, policy) in policies {
        let policy = decode_policy(name.clone(), policy, &place.key(&name));
        all = all.zip(policy).map(|(mut all, policy)| {
            all.push(policy);
            all
        });
    }
    at.finish(wire);
    Some(Rules {
        action: match action? {
            WireAction::Allow => Action::Allow,
            WireAction::Deny => Action::Deny,
            WireAction::Log => Action::Log,
        },
        policies: all?,
    })
}

/// A condition in Google's expression language is refused as a field that nobody takes.
fn decode_policy(name: String, mut wire: WirePolicy, at: &At<'_>) -> Option<Policy> {
    let permissions = match take(&mut wire.permissions) {
        none if none.is_empty() => at.field("permissions").refuse("must be set"),
        some => at.list("permissions", some, rule::decode_permission),
    };
    let principals = match take(&mut wire.principals) {
        none if none.is_empty() => at.field("principals").refuse("must be set"),
        some => at.list("principals", some, rule::decode_principal),
    };
    at.finish(wire);
    Some(Policy {
        name,
        permissions: permissions?,
        principals: principals?,
    })
}
