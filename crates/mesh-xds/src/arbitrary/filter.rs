//! Arbitrary filters, network and HTTP, and access logs.

use super::{duration, matcher, policy, route, word};
use mesh_model::{
    access_log::{AccessLog, AccessLogFormat},
    filter::{MetadataExchange, NetworkFilter, Stats, TcpProxy},
    http::{
        Abort, AbortStatus, Alpn, ClientCertDetails, CorsPolicy, Delay, EscapedSlashes, Fault,
        ForwardClientCert, HttpConnectionManager, HttpFilter, NamedFilter, Override,
        OverrideConfig, PeerMetadata, RouteSource, Tracing,
    },
};
use proptest::{collection, option, prelude::*};
use std::sync::Arc;

/// The filters of a chain: some that look on, then one that takes the connection.
pub(crate) fn chain() -> impl Strategy<Value = Vec<NetworkFilter>> {
    let passing = prop_oneof![
        word().prop_map(|protocol| NetworkFilter::MetadataExchange(MetadataExchange { protocol })),
        stats().prop_map(NetworkFilter::Stats),
        policy::rbac::network().prop_map(NetworkFilter::Rbac),
    ];
    let last = prop_oneof![
        tcp_proxy().prop_map(NetworkFilter::TcpProxy),
        manager().prop_map(|m| NetworkFilter::HttpConnectionManager(Box::new(m))),
    ];
    (collection::vec(passing, 0..3), last).prop_map(|(mut filters, last)| {
        filters.push(last);
        filters
    })
}

fn stats() -> impl Strategy<Value = Stats> {
    any::<bool>().prop_map(|disable| Stats {
        disable_host_header_fallback: disable,
    })
}

fn tcp_proxy() -> impl Strategy<Value = TcpProxy> {
    (
        word(),
        word(),
        option::of(duration()),
        any::<bool>(),
        collection::vec(access_log(), 0..2),
    )
        .prop_map(
            |(stat_prefix, cluster, idle_timeout, hash_source_ip, access_logs)| TcpProxy {
                hash_source_ip,
                stat_prefix,
                cluster: cluster.into(),
                idle_timeout,
                access_logs,
            },
        )
}

/// An access log.
pub(crate) fn access_log() -> impl Strategy<Value = AccessLog> {
    let format = prop_oneof![
        word().prop_map(AccessLogFormat::Text),
        collection::btree_map(word(), word(), 0..4)
            .prop_map(|keys| AccessLogFormat::Json(keys.into_iter().collect())),
    ];
    (word(), format, any::<bool>()).prop_map(|(path, format, only_no_route)| AccessLog {
        path,
        format,
        only_no_route,
    })
}

fn manager() -> impl Strategy<Value = HttpConnectionManager> {
    let routes = prop_oneof![
        word().prop_map(|name| RouteSource::Rds(name.into())),
        route::table().prop_map(|table| RouteSource::Inline(Arc::new(table))),
    ];
    let said = (word(), routes, http_filters(), word());
    let flags = any::<[bool; 7]>();
    let times = (duration(), option::of(duration()));
    let rest = (
        client_cert(),
        collection::vec(prop::sample::select(vec!["websocket", "x"]), 0..2),
        escaped_slashes(),
        option::of(tracing()),
        collection::vec(access_log(), 0..2),
    );
    (said, flags, times, rest).prop_map(
        |((stat_prefix, routes, filters, server_name), flags, times, rest)| HttpConnectionManager {
            stat_prefix,
            routes,
            filters,
            server_name,
            overwrite_server: flags[0],
            stream_idle_timeout: times.0,
            idle_timeout: times.1,
            use_remote_address: flags[1],
            forward_client_cert: rest.0,
            upgrades: rest.1.into_iter().map(String::from).collect(),
            normalize_path: flags[2],
            merge_slashes: flags[3],
            escaped_slashes: rest.2,
            accept_http_10: flags[4],
            preserve_header_case: flags[5],
            generate_request_id: flags[6],
            tracing: rest.3,
            access_logs: rest.4,
        },
    )
}

fn http_filters() -> impl Strategy<Value = Vec<NamedFilter>> {
    let passing = (word(), any::<bool>(), http_filter());
    let passing = passing.prop_map(|(name, disabled, filter)| NamedFilter {
        name,
        disabled,
        filter,
    });
    collection::vec(passing, 0..4).prop_map(|mut filters| {
        filters.push(HttpFilter::Router.into());
        filters
    })
}

fn http_filter() -> impl Strategy<Value = HttpFilter> {
    let offer = || collection::vec(word(), 0..3);
    prop_oneof![
        any::<[bool; 4]>().prop_map(|[a, b, c, d]| HttpFilter::PeerMetadata(PeerMetadata {
            downstream_discovery: a,
            downstream_propagation: b,
            upstream_discovery: c,
            upstream_propagation: d,
        })),
        Just(HttpFilter::GrpcStats),
        (offer(), offer(), offer()).prop_map(|(http10, http11, http2)| {
            HttpFilter::Alpn(Alpn {
                http10,
                http11,
                http2,
            })
        }),
        fault().prop_map(HttpFilter::Fault),
        policy::rbac::rbac().prop_map(HttpFilter::Rbac),
        policy::jwt::jwt().prop_map(|jwt| HttpFilter::Jwt(Box::new(jwt))),
        Just(HttpFilter::Cors),
        stats().prop_map(HttpFilter::Stats),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let status = prop_oneof![
        (200..600u16).prop_map(AbortStatus::Http),
        any::<u32>().prop_map(AbortStatus::Grpc),
    ];
    let positive = duration().prop_filter("an Envoy wants one", |d| !d.is_zero());
    let delay = (positive, matcher::fraction());
    let abort = (status, matcher::fraction());
    let headers = collection::vec(matcher::header(), 0..2);
    (option::of(delay), option::of(abort), headers).prop_map(|(delay, abort, headers)| Fault {
        delay: delay.map(|(duration, fraction)| Delay { duration, fraction }),
        abort: abort.map(|(status, fraction)| Abort { status, fraction }),
        headers,
    })
}

fn cors() -> impl Strategy<Value = CorsPolicy> {
    let texts = [word(), word(), word(), word()];
    let flags = any::<[Option<bool>; 3]>();
    let shares = [
        option::of(matcher::fraction()),
        option::of(matcher::fraction()),
    ];
    let origins = collection::vec(matcher::string(), 0..3);
    (origins, texts, flags, shares).prop_map(
        |(allow_origins, [methods, headers, expose, age], flags, [enabled, shadow])| CorsPolicy {
            allow_origins,
            allow_methods: methods,
            allow_headers: headers,
            expose_headers: expose,
            max_age: age,
            allow_credentials: flags[0],
            enabled,
            shadow,
            allow_private_network: flags[1],
            forward_not_matching_preflights: flags[2],
        },
    )
}

/// What a route changes of filters, in the order of their names.
pub(crate) fn overrides() -> impl Strategy<Value = Vec<Override>> {
    let config = prop_oneof![
        Just(OverrideConfig::Off),
        Just(OverrideConfig::On),
        fault().prop_map(OverrideConfig::Fault),
        policy::rbac::rbac().prop_map(OverrideConfig::Rbac),
        policy::jwt::change().prop_map(OverrideConfig::Jwt),
        cors().prop_map(|policy| OverrideConfig::Cors(Box::new(policy))),
    ];
    collection::btree_map(word(), config, 0..4).prop_map(|all| {
        let all = all.into_iter();
        all.map(|(name, config)| Override { name, config })
            .collect()
    })
}

fn client_cert() -> impl Strategy<Value = ForwardClientCert> {
    let details = || {
        any::<[bool; 3]>().prop_map(|[subject, dns, uri]| ClientCertDetails { subject, dns, uri })
    };
    prop_oneof![
        Just(ForwardClientCert::Sanitize),
        Just(ForwardClientCert::ForwardOnly),
        details().prop_map(ForwardClientCert::AppendForward),
        details().prop_map(ForwardClientCert::SanitizeSet),
    ]
}

fn escaped_slashes() -> impl Strategy<Value = EscapedSlashes> {
    prop::sample::select(vec![
        EscapedSlashes::KeepUnchanged,
        EscapedSlashes::RejectRequest,
        EscapedSlashes::UnescapeAndRedirect,
        EscapedSlashes::UnescapeAndForward,
    ])
}

fn tracing() -> impl Strategy<Value = Tracing> {
    let share = || 0..=10_000u16;
    (share(), share(), share()).prop_map(|(client, random, overall)| Tracing {
        client,
        random,
        overall,
    })
}
