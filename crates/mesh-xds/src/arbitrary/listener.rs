//! Arbitrary listeners.

use super::{duration, filter, ip, port, socket, tls, word};
use ipnet::IpNet;
use mesh_model::{
    listener::{
        ConnectionMatch, FilterChain, FilterChainMatch, Listener, ListenerFilter,
        ListenerFilterKind, TransportProtocol,
    },
    name::Direction,
};
use proptest::{collection, option, prelude::*};

/// A listener.
pub(crate) fn listener() -> impl Strategy<Value = Listener> {
    let place = (word(), socket(), collection::vec(socket(), 0..2));
    let flags = any::<[bool; 3]>();
    let direction = prop::sample::select(vec![
        None,
        Some(Direction::Inbound),
        Some(Direction::Outbound),
    ]);
    let filters = (collection::vec(listener_filter(), 0..3), duration());
    let chains = (collection::vec(chain(), 0..3), chain(), any::<bool>());
    let logs = collection::vec(filter::access_log(), 0..2);
    (place, flags, direction, filters, chains, logs).prop_map(
        |(place, flags, direction, filters, (filter_chains, default, has_default), logs)| {
            Listener {
                name: place.0.into(),
                address: place.1,
                additional_addresses: place.2,
                bind_to_port: flags[0],
                use_original_dst: flags[1],
                direction,
                listener_filters: filters.0,
                listener_filters_timeout: filters.1,
                continue_on_listener_filters_timeout: flags[2],
                default_filter_chain: (has_default || filter_chains.is_empty()).then_some(default),
                filter_chains,
                access_logs: logs,
            }
        },
    )
}

fn listener_filter() -> impl Strategy<Value = ListenerFilter> {
    let kind = prop::sample::select(vec![
        ListenerFilterKind::OriginalDst,
        ListenerFilterKind::TlsInspector,
        ListenerFilterKind::HttpInspector,
    ]);
    (kind, option::of(connection_match()))
        .prop_map(|(kind, disabled)| ListenerFilter { kind, disabled })
}

fn connection_match() -> impl Strategy<Value = ConnectionMatch> {
    let leaf = prop_oneof![
        Just(ConnectionMatch::Any),
        (0..65_536u32, 1..100u32).prop_map(|(start, length)| {
            ConnectionMatch::DestinationPort(start..(start + length).min(65_536))
        }),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 2..4).prop_map(ConnectionMatch::Or),
            collection::vec(inner.clone(), 2..4).prop_map(ConnectionMatch::And),
            inner.prop_map(|inner| ConnectionMatch::Not(Box::new(inner))),
        ]
    })
}

fn chain() -> impl Strategy<Value = FilterChain> {
    (
        prop_oneof![Just(String::new()), word()],
        chain_match(),
        option::of(tls::downstream()),
        option::of(duration()),
        filter::chain(),
    )
        .prop_map(|(name, matches, tls, timeout, filters)| FilterChain {
            name,
            matches,
            tls,
            transport_connect_timeout: timeout,
            filters,
        })
}

fn chain_match() -> impl Strategy<Value = FilterChainMatch> {
    let server_name = prop_oneof![
        Just("nginx.test".to_owned()),
        Just("*.test".to_owned()),
        Just("outbound_.80_._.nginx.test".to_owned()),
    ];
    (
        option::of(port()),
        collection::vec(net(), 0..2),
        collection::vec(server_name, 0..2),
        prop::sample::select(vec![
            None,
            Some(TransportProtocol::RawBuffer),
            Some(TransportProtocol::Tls),
        ]),
        collection::vec(word(), 0..3),
        collection::vec(net(), 0..2),
        collection::vec(port(), 0..2),
    )
        .prop_map(
            |(port, nets, names, transport, protocols, sources, ports)| FilterChainMatch {
                destination_port: port,
                prefix_ranges: nets,
                server_names: names,
                transport_protocol: transport,
                application_protocols: protocols,
                source_prefix_ranges: sources,
                source_ports: ports,
            },
        )
}

fn net() -> impl Strategy<Value = IpNet> {
    (ip(), 0..=32u8).prop_map(|(ip, length)| IpNet::new(ip, length).expect("fits both families"))
}
