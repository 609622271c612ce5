//! Arbitrary clusters.

use super::{
    duration, endpoint, ip,
    outlier::{outlier_detection, percent},
    tls, word,
};
use mesh_model::cluster::{
    Cluster, Discovery, DnsDiscovery, DnsKind, HashFunction, LARGEST_RING, LbPolicy, Limits,
    LookupFamily, RingHash, ServiceRef, Transport, TransportMatch, UpstreamHttp,
};
use proptest::{collection, option, prelude::*};
use std::{num::NonZeroU32, time::Duration};

/// A cluster.
pub(crate) fn cluster() -> impl Strategy<Value = Cluster> {
    let balance = (
        discovery(),
        limits(),
        option::of(percent()),
        any::<bool>(),
        option::of(outlier_detection()),
    );
    let connect = (
        duration().prop_map(|timeout| timeout.max(Duration::from_millis(1))),
        collection::vec(transport_match(), 0..3),
        transport(),
        prop::sample::select(vec![
            UpstreamHttp::Http1,
            UpstreamHttp::Http2,
            UpstreamHttp::Downstream,
        ]),
        option::of(duration()),
        option::of(ip()),
        option::of(any::<NonZeroU32>()),
    );
    let services = collection::vec(service(), 0..3);
    (word(), balance, connect, services).prop_map(|(name, balance, connect, services)| {
        let ((discovery, lb_policy), limits, healthy_panic_threshold, locality_weighted, outliers) =
            balance;
        Cluster {
            name: name.into(),
            discovery,
            connect_timeout: connect.0,
            lb_policy,
            limits,
            outlier_detection: outliers,
            healthy_panic_threshold,
            locality_weighted,
            transport_matches: connect.1,
            transport: connect.2,
            http_protocol: connect.3,
            idle_timeout: connect.4,
            source_address: connect.5,
            max_requests_per_connection: connect.6,
            services,
        }
    })
}

fn discovery() -> impl Strategy<Value = (Discovery, LbPolicy)> {
    let policy = || {
        prop_oneof![
            Just(LbPolicy::RoundRobin),
            Just(LbPolicy::LeastRequest),
            Just(LbPolicy::Random),
            ring().prop_map(LbPolicy::RingHash),
            prop::sample::select(vec![2, 11, 65_537, 5_000_011])
                .prop_map(|table_size| LbPolicy::Maglev { table_size }),
        ]
    };
    prop_oneof![
        (endpoint::assignment().prop_map(Discovery::Static), policy()),
        (
            word().prop_map(|name| Discovery::Eds(name.into())),
            policy()
        ),
        (
            dns().prop_map(|dns| Discovery::Dns(Box::new(dns))),
            policy()
        ),
        Just((Discovery::OriginalDst, LbPolicy::ClusterProvided)),
    ]
}

fn dns() -> impl Strategy<Value = DnsDiscovery> {
    let named = prop_oneof![
        endpoint::named().prop_map(|all| (DnsKind::Strict, all)),
        endpoint::one_named().prop_map(|one| (DnsKind::Logical, one)),
    ];
    let family = prop::sample::select(vec![
        LookupFamily::Auto,
        LookupFamily::V4Only,
        LookupFamily::V6Only,
        LookupFamily::V4Preferred,
        LookupFamily::All,
    ]);
    let interval = || duration().prop_map(|interval| interval.max(Duration::from_millis(2)));
    let failure = option::of((interval(), interval()).prop_map(|(a, b)| (a.min(b), a.max(b))));
    (
        named,
        family,
        interval(),
        failure,
        any::<bool>(),
        duration(),
    )
        .prop_map(
            |((kind, endpoints), family, refresh, failure_refresh, respect_ttl, jitter)| {
                DnsDiscovery {
                    endpoints,
                    kind,
                    family,
                    refresh,
                    failure_refresh,
                    respect_ttl,
                    jitter,
                }
            },
        )
}

fn ring() -> impl Strategy<Value = RingHash> {
    let function = prop::sample::select(vec![HashFunction::XxHash, HashFunction::MurmurHash2]);
    let sizes = (1..=LARGEST_RING, 1..=LARGEST_RING);
    (sizes, function).prop_map(|((one, other), function)| RingHash {
        minimum_size: one.min(other),
        maximum_size: one.max(other),
        function,
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits::ENVOY),
        Just(Limits::UNLIMITED),
        any::<[u32; 4]>().prop_map(|[connections, pending, requests, retries]| Limits {
            max_connections: connections,
            max_pending_requests: pending,
            max_requests: requests,
            max_retries: retries,
        }),
    ]
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![
        Just(Transport::RawBuffer),
        tls::upstream().prop_map(|tls| Transport::Tls(Box::new(tls))),
    ]
}

fn transport_match() -> impl Strategy<Value = TransportMatch> {
    let labels = collection::btree_map(word(), word(), 0..3);
    (word(), labels, transport()).prop_map(|(name, labels, transport)| TransportMatch {
        name,
        labels: labels.into_iter().collect(),
        transport,
    })
}

fn service() -> impl Strategy<Value = ServiceRef> {
    (word(), word(), word()).prop_map(|(host, name, namespace)| ServiceRef {
        host,
        name,
        namespace,
    })
}
