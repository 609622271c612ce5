//! Arbitrary access control.

use super::super::{ip, matcher, word};
use super::metadata;
use ipnet::IpNet;
use mesh_model::{
    matcher::PathTemplate,
    policy::rbac::{Action, NetworkRbac, Permission, Policy, Principal, Rbac, Rules},
};
use proptest::{collection, option, prelude::*};

/// Access control of requests.
pub(crate) fn rbac() -> impl Strategy<Value = Rbac> {
    let prefix = || prop_oneof![Just(String::new()), word()];
    (option::of(rules()), option::of(rules()), prefix(), prefix()).prop_map(
        |(rules, shadow_rules, stat_prefix, shadow_stat_prefix)| Rbac {
            rules,
            shadow_rules,
            stat_prefix,
            shadow_stat_prefix,
        },
    )
}

/// Access control of connections.
pub(crate) fn network() -> impl Strategy<Value = NetworkRbac> {
    (rbac(), word()).prop_map(|(rbac, stat_prefix)| NetworkRbac {
        rules: rbac.rules,
        shadow_rules: rbac.shadow_rules,
        stat_prefix,
        shadow_stat_prefix: rbac.shadow_stat_prefix,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let action = prop::sample::select(vec![Action::Allow, Action::Deny, Action::Log]);
    let permissions = collection::vec(permission(), 1..3);
    let principals = collection::vec(principal(), 1..3);
    let policies = collection::btree_map(word(), (permissions, principals), 0..3);
    (action, policies).prop_map(|(action, policies)| {
        let policies = policies.into_iter();
        let policy = |(name, (permissions, principals))| Policy {
            name,
            permissions,
            principals,
        };
        Rules {
            action,
            policies: policies.map(policy).collect(),
        }
    })
}

fn net() -> impl Strategy<Value = IpNet> {
    (ip(), 0..=32u8).prop_map(|(ip, length)| IpNet::new(ip, length).expect("fits both families"))
}

fn permission() -> impl Strategy<Value = Permission> {
    let template = prop::sample::select(vec!["/a/*/b", "/{x}/**", "/v{n=*}.json"]);
    let leaf = prop_oneof![
        Just(Permission::Any),
        matcher::header().prop_map(Permission::Header),
        matcher::string().prop_map(Permission::Path),
        template.prop_map(|t| Permission::Template(PathTemplate::new(t).expect("a template"))),
        net().prop_map(Permission::DestinationIp),
        (0..65_535u32, 1..4u32)
            .prop_map(|(p, n)| Permission::DestinationPort(p..(p + n).min(65_536))),
        metadata().prop_map(Permission::Metadata),
        matcher::string().prop_map(Permission::ServerName),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let some = || collection::vec(inner.clone(), 1..3);
        prop_oneof![
            some().prop_map(Permission::And),
            some().prop_map(Permission::Or),
            inner.clone().prop_map(|p| Permission::Not(Box::new(p))),
        ]
    })
}

fn principal() -> impl Strategy<Value = Principal> {
    let leaf = prop_oneof![
        Just(Principal::Any),
        option::of(matcher::string()).prop_map(Principal::Authenticated),
        matcher::string().prop_map(Principal::PeerPrincipal),
        net().prop_map(Principal::PeerIp),
        net().prop_map(Principal::RemoteIp),
        matcher::header().prop_map(Principal::Header),
        matcher::string().prop_map(Principal::Path),
        metadata().prop_map(Principal::Metadata),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let some = || collection::vec(inner.clone(), 1..3);
        prop_oneof![
            some().prop_map(Principal::And),
            some().prop_map(Principal::Or),
            inner.clone().prop_map(|p| Principal::Not(Box::new(p))),
        ]
    })
}
