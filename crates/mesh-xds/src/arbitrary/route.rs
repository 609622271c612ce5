//! Arbitrary route tables.

use super::{duration, filter, matcher, word};
use mesh_model::route::{
    AppendAction, DirectResponse, Forward, HashBy, HashCookie, HashPolicy, HeaderAdd,
    HeaderMutations, MaxStreamDuration, PathMatch, RetryOn, RetryPolicy, Route, RouteAction,
    RouteConfiguration, RouteMatch, Target, VirtualHost, WeightedCluster,
};
use proptest::{collection, option, prelude::*};
use std::time::Duration;

/// A route table. Domains are distinct, as they must be.
pub(crate) fn table() -> impl Strategy<Value = RouteConfiguration> {
    (
        word(),
        collection::vec(host(), 0..3),
        any::<bool>(),
        option::of(100..10_000u32),
        filter::overrides(),
        headers(),
    )
        .prop_map(
            |(name, hosts, ignore_port_in_host_matching, limit, overrides, headers)| {
                RouteConfiguration {
                    name: name.into(),
                    virtual_hosts: with_distinct_domains(hosts),
                    ignore_port_in_host_matching,
                    max_direct_response_body_bytes: limit,
                    overrides,
                    headers,
                }
            },
        )
}

fn with_distinct_domains(mut hosts: Vec<VirtualHost>) -> Vec<VirtualHost> {
    let domains = hosts.iter_mut().flat_map(|host| &mut host.domains);
    for (i, domain) in domains.enumerate() {
        domain.push_str(&i.to_string());
    }
    hosts
}

fn host() -> impl Strategy<Value = VirtualHost> {
    (
        word(),
        collection::vec(word(), 1..3),
        collection::vec(route(), 0..3),
        any::<bool>(),
        filter::overrides(),
        headers(),
    )
        .prop_map(
            |(name, domains, routes, count, overrides, headers)| VirtualHost {
                name,
                domains,
                routes,
                include_request_attempt_count: count,
                overrides,
                headers,
            },
        )
}

fn route() -> impl Strategy<Value = Route> {
    (
        prop_oneof![Just(String::new()), word()],
        matches(),
        action(),
        option::of(word()),
        option::of(word()),
        filter::overrides(),
        headers(),
    )
        .prop_map(
            |(name, matches, action, operation, config, overrides, headers)| Route {
                name,
                matches,
                action,
                operation,
                config,
                overrides,
                headers,
            },
        )
}

fn path() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        word().prop_map(|path| PathMatch::Prefix(format!("/{path}"))),
        word().prop_map(|path| PathMatch::Exact(format!("/{path}"))),
        word().prop_map(|path| PathMatch::SeparatedPrefix(format!("/{path}x"))),
        matcher::regex().prop_map(PathMatch::Regex),
    ]
}

/// Which requests a route takes.
pub(crate) fn matches() -> impl Strategy<Value = RouteMatch> {
    (
        path(),
        any::<bool>(),
        collection::vec(matcher::header(), 0..2),
        collection::vec(matcher::query(), 0..2),
        option::of(matcher::fraction()),
    )
        .prop_map(|(path, ignore_case, headers, query, fraction)| RouteMatch {
            path,
            ignore_case,
            headers,
            query,
            fraction,
        })
}

fn headers() -> impl Strategy<Value = HeaderMutations> {
    let names = || collection::vec(prop::sample::select(vec!["x-a", "server"]), 0..2);
    let owned = |names: Vec<&str>| names.into_iter().map(String::from).collect();
    let adds = || collection::vec(header(), 0..2);
    (names(), adds(), names(), adds()).prop_map(
        move |(request_remove, request_add, response_remove, response_add)| HeaderMutations {
            request_remove: owned(request_remove),
            request_add,
            response_remove: owned(response_remove),
            response_add,
        },
    )
}

fn header() -> impl Strategy<Value = HeaderAdd> {
    let name = prop::sample::select(vec!["x-a", "set-cookie"]);
    let format = prop_oneof![Just(String::new()), Just("%REQ(X)% %%".to_owned()), word()];
    let action = prop::sample::select(vec![
        AppendAction::AppendIfExistsOrAdd,
        AppendAction::AddIfAbsent,
        AppendAction::OverwriteIfExistsOrAdd,
        AppendAction::OverwriteIfExists,
    ]);
    (name, format, action, any::<bool>()).prop_map(|(name, format, action, keep_empty)| HeaderAdd {
        name: name.into(),
        format,
        action,
        keep_empty,
    })
}

fn target() -> impl Strategy<Value = Target> {
    let weighted = (word(), 1..1000u32, headers());
    let weighted = weighted.prop_map(|(name, weight, headers)| WeightedCluster {
        name: name.into(),
        weight,
        headers,
    });
    prop_oneof![
        word().prop_map(|name| Target::Cluster(name.into())),
        collection::vec(weighted, 1..3).prop_map(Target::Weighted),
    ]
}

fn action() -> impl Strategy<Value = RouteAction> {
    prop_oneof![
        forward().prop_map(RouteAction::Forward),
        (200..600u16, collection::vec(any::<u8>(), 0..20)).prop_map(|(status, body)| {
            RouteAction::DirectResponse(DirectResponse { status, body })
        }),
    ]
}

fn forward() -> impl Strategy<Value = Forward> {
    let limits = (option::of(duration()), option::of(duration()));
    (
        target(),
        option::of(duration()),
        option::of(duration()),
        option::of(limits),
        option::of(retry()),
        collection::vec(hash(), 0..3),
    )
        .prop_map(
            |(target, timeout, max_grpc_timeout, limits, retry, hash)| Forward {
                hash,
                target,
                timeout,
                max_grpc_timeout,
                max_stream_duration: limits.map(|(max, grpc)| MaxStreamDuration {
                    max,
                    grpc_timeout_header_max: grpc,
                }),
                retry,
            },
        )
}

fn hash() -> impl Strategy<Value = HashPolicy> {
    let part = || prop::sample::select(vec!["a", "b-c"]).prop_map(String::from);
    let attributes = collection::vec((part(), prop_oneof![Just(String::new()), part()]), 0..2);
    let path = prop::sample::select(vec!["", "/", "/a b"]);
    let cookie = (part(), option::of(duration()), path, attributes);
    let cookie = cookie.prop_map(|(name, ttl, path, attributes)| HashCookie {
        name,
        ttl,
        path: path.into(),
        attributes,
    });
    let by = prop_oneof![
        prop::sample::select(vec!["x-user", ":path"]).prop_map(|h| HashBy::Header(h.into())),
        cookie.prop_map(HashBy::Cookie),
        Just(HashBy::SourceIp),
        word().prop_map(HashBy::QueryParameter),
    ];
    (by, any::<bool>()).prop_map(|(by, terminal)| HashPolicy { by, terminal })
}

/// A policy. Who avoids hosts picks at least once more; a limit of the back-off comes with its base.
fn retry() -> impl Strategy<Value = RetryPolicy> {
    (
        collection::vec(prop::sample::select(RetryOn::ALL.to_vec()), 0..4),
        any::<u32>(),
        option::of(duration()),
        collection::vec(100..600u16, 0..3),
        prop_oneof![(Just(true), 1..=u32::MAX), (Just(false), any::<u32>())],
        option::of((1..1000u64, option::of(0..1000u64))),
    )
        .prop_map(
            |(retry_on, num_retries, per_try_timeout, codes, avoid, back_off)| RetryPolicy {
                retry_on,
                num_retries,
                per_try_timeout,
                retriable_status_codes: codes,
                avoid_previous_hosts: avoid.0,
                host_selection_attempts: avoid.1,
                back_off_base: back_off.map(|(base, _)| Duration::from_millis(base)),
                back_off_max: back_off
                    .and_then(|(base, above)| Some(Duration::from_millis(base + above?))),
            },
        )
}
