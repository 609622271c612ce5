//! Arbitrary route tables. The large ones are boxed: a test's stack is small.

use super::{duration, filter, matcher, word};
use mesh_model::route::{
    AppendAction, DirectResponse, Forward, HashBy, HashCookie, HashPolicy, HeaderAdd,
    HeaderMutations, HostRewrite, InternalRedirects, MaxStreamDuration, Mirror, PathMatch,
    PathRedirect, PathRewrite, RateLimitedBackOff, Redirect, RedirectPredicate, RedirectStatus,
    ResetFormat, ResetHeader, RetryOn, RetryPolicy, Rewrite, Route, RouteAction,
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
        any::<[bool; 3]>(),
        option::of(retry()),
        filter::overrides(),
        headers(),
    )
        .prop_map(
            |(name, domains, routes, tells, retry, overrides, headers)| VirtualHost {
                name,
                domains,
                routes,
                include_request_attempt_count: tells[0],
                include_attempt_count_in_response: tells[1],
                include_is_timeout_retry: tells[2],
                retry,
                overrides,
                headers,
            },
        )
        .boxed()
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
                action: with_variables_of(&matches, action),
                matches,
                operation,
                config,
                overrides,
                headers,
            },
        )
        .boxed()
}

/// A path is made of variables only where the route matches by a template that has them; such a one has no prefix.
fn with_variables_of(matches: &RouteMatch, mut action: RouteAction) -> RouteAction {
    if let RouteAction::Redirect(redirect) = &mut action
        && matches!(redirect.path, Some(PathRedirect::Prefix(_)))
        && matches!(matches.path, PathMatch::Template(_))
    {
        redirect.path = None;
    }
    if let RouteAction::Forward(forward) = &mut action {
        let made = matches!(forward.rewrite.path, Some(PathRewrite::Template(_)));
        let is_template = matches!(matches.path, PathMatch::Template(_));
        let cut = matches!(forward.rewrite.path, Some(PathRewrite::Prefix(_)));
        if made && !is_template || cut && is_template {
            forward.rewrite.path = None;
        }
    }
    action
}

fn path() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        word().prop_map(|path| PathMatch::Prefix(format!("/{path}"))),
        word().prop_map(|path| PathMatch::Exact(format!("/{path}"))),
        word().prop_map(|path| PathMatch::SeparatedPrefix(format!("/{path}x"))),
        matcher::regex().prop_map(PathMatch::Regex),
        prop::sample::select(vec!["/{a}/{b=x/**}.js", "/{a}/{b=**}", "/{b}/{a}"]).prop_filter_map(
            "no template",
            |text| text.parse().ok().map(PathMatch::Template)
        ),
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
        redirect().prop_map(RouteAction::Redirect),
        (200..600u16, collection::vec(any::<u8>(), 0..20)).prop_map(|(status, body)| {
            RouteAction::DirectResponse(DirectResponse { status, body })
        }),
    ]
}

fn redirect() -> impl Strategy<Value = Redirect> {
    let status = prop::sample::select(vec![
        RedirectStatus::MovedPermanently,
        RedirectStatus::Found,
        RedirectStatus::SeeOther,
        RedirectStatus::TemporaryRedirect,
        RedirectStatus::PermanentRedirect,
    ]);
    let path = prop_oneof![
        target_path().prop_map(PathRedirect::Path),
        target_path().prop_map(PathRedirect::Prefix),
        matcher::substitution().prop_map(PathRedirect::Regex),
    ];
    (
        option::of(prop::sample::select(vec!["https", "http"])),
        option::of(target_host()),
        option::of(1..=u16::MAX),
        option::of(path),
        any::<bool>(),
        status,
    )
        .prop_map(|(scheme, host, port, path, strip_query, status)| Redirect {
            scheme: scheme.map(String::from),
            host,
            port,
            path,
            strip_query,
            status,
        })
        .boxed()
}

fn target_path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["/", "/x?y=z", "/a/b", "x"]).prop_map(String::from)
}

fn target_host() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a.test", "[::1]:80", "a-b:8080"]).prop_map(String::from)
}

fn rewrite() -> impl Strategy<Value = Rewrite> {
    let template = prop::sample::select(vec!["/{a}", "/x/{b}/{a}"]);
    let path = prop_oneof![
        target_path().prop_map(PathRewrite::Prefix),
        matcher::substitution().prop_map(PathRewrite::Regex),
        template.prop_filter_map("no template", |text| {
            text.parse().ok().map(PathRewrite::Template)
        }),
    ];
    let host = prop_oneof![
        target_host().prop_map(HostRewrite::Literal),
        Just(HostRewrite::Header("x-host".into())),
        matcher::substitution().prop_map(HostRewrite::PathRegex),
    ];
    (option::of(path), option::of(host), any::<bool>()).prop_map(|(path, host, append)| Rewrite {
        path,
        host,
        append_x_forwarded_host: append,
    })
}

fn mirror() -> impl Strategy<Value = Mirror> {
    let fraction = option::of(matcher::fraction());
    (word(), fraction, any::<bool>(), option::of(target_host())).prop_map(
        |(cluster, fraction, append_shadow_suffix, host)| Mirror {
            cluster: cluster.into(),
            fraction,
            append_shadow_suffix,
            host,
        },
    )
}

fn forward() -> impl Strategy<Value = Forward> {
    let limits = [
        option::of(duration()),
        option::of(duration()),
        option::of(duration()),
    ];
    (
        target(),
        rewrite(),
        collection::vec(mirror(), 0..2),
        option::of(duration()),
        option::of(duration()),
        option::of(limits),
        option::of(duration()),
        option::of(retry()),
        option::of(internal_redirects()),
        collection::vec(hash(), 0..3),
    )
        .prop_map(
            |(
                target,
                rewrite,
                mirrors,
                timeout,
                max_grpc_timeout,
                limits,
                idle_timeout,
                retry,
                internal_redirects,
                hash,
            )| Forward {
                hash,
                target,
                rewrite,
                mirrors,
                timeout,
                max_grpc_timeout,
                max_stream_duration: limits.map(|[max, grpc, offset]| MaxStreamDuration {
                    max,
                    grpc_timeout_header_max: grpc,
                    grpc_timeout_header_offset: offset,
                }),
                idle_timeout,
                retry,
                internal_redirects,
            },
        )
        .boxed()
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

fn internal_redirects() -> impl Strategy<Value = InternalRedirects> {
    let status = prop::sample::select(vec![301u16, 302, 303, 307, 308]);
    let predicate = prop_oneof![
        collection::vec(word(), 0..3).prop_map(RedirectPredicate::AllowListedRoutes),
        Just(RedirectPredicate::PreviousRoutes),
        Just(RedirectPredicate::SafeCrossScheme),
    ];
    let header = prop::sample::select(vec!["x-a", "set-cookie"]).prop_map(String::from);
    (
        any::<u32>(),
        collection::vec(status, 1..4),
        any::<bool>(),
        collection::btree_set(header, 0..3).prop_map(Vec::from_iter),
        collection::vec(predicate, 0..3),
    )
        .prop_map(
            |(most, statuses, allow_cross_scheme, headers_to_copy, predicates)| InternalRedirects {
                most,
                statuses,
                allow_cross_scheme,
                headers_to_copy,
                predicates,
            },
        )
        .boxed()
}

fn rate_limited() -> impl Strategy<Value = RateLimitedBackOff> {
    let format = prop::sample::select(vec![ResetFormat::Seconds, ResetFormat::UnixTimestamp]);
    let name = prop::sample::select(vec!["retry-after", "x-ratelimit-reset"]);
    let header = (name, format).prop_map(|(name, format)| ResetHeader {
        name: name.into(),
        format,
    });
    let max = duration().prop_filter("an Envoy wants one", |d| !d.is_zero());
    (collection::vec(header, 1..3), option::of(max))
        .prop_map(|(headers, max)| RateLimitedBackOff { headers, max })
}

/// A policy. Who avoids hosts picks at least once more; a limit of the back-off comes with its base.
fn retry() -> impl Strategy<Value = RetryPolicy> {
    (
        collection::vec(prop::sample::select(RetryOn::ALL.to_vec()), 0..4),
        any::<u32>(),
        [option::of(duration()), option::of(duration())],
        collection::vec(100..600u16, 0..3),
        prop_oneof![(Just(true), 1..=u32::MAX), (Just(false), any::<u32>())],
        option::of((1..1000u64, option::of(0..1000u64))),
        option::of(rate_limited()),
        [
            collection::vec(matcher::header(), 0..2),
            collection::vec(matcher::header(), 0..2),
        ],
    )
        .prop_map(
            |(retry_on, num_retries, times, codes, avoid, back_off, limited, headers)| {
                RetryPolicy {
                    retry_on,
                    num_retries,
                    per_try_timeout: times[0],
                    per_try_idle_timeout: times[1],
                    retriable_headers: headers[0].clone(),
                    retriable_request_headers: headers[1].clone(),
                    rate_limited_back_off: limited,
                    retriable_status_codes: codes,
                    avoid_previous_hosts: avoid.0,
                    host_selection_attempts: avoid.1,
                    back_off_base: back_off.map(|(base, _)| Duration::from_millis(base)),
                    back_off_max: back_off
                        .and_then(|(base, above)| Some(Duration::from_millis(base + above?))),
                }
            },
        )
        .boxed()
}
