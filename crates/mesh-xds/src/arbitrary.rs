//! Arbitrary model values for the round-trip properties.
//!
//! They reach every variant and stay within what an encoder can be asked for: what translation never makes and the wire
//! cannot say (a port 0, a back-off limit without its base) is left out here and written down beside the model's field.

pub(crate) mod cluster;
pub(crate) mod endpoint;
mod envoy;
pub(crate) mod filter;
pub(crate) mod listener;
pub(crate) mod matcher;
pub(crate) mod name_table;
pub(crate) mod outlier;
pub(crate) mod policy;
pub(crate) mod route;
pub(crate) mod tls;

use proptest::prelude::*;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// A name or word with the letters that names have here.
pub(crate) fn word() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop::sample::select("abz019|.-_*;/ é\"\\".chars().collect::<Vec<_>>()),
        1..8,
    )
    .prop_map(|letters| letters.into_iter().collect())
}

/// A port.
pub(crate) fn port() -> impl Strategy<Value = u16> {
    prop_oneof![Just(80u16), Just(65535), 1..=u16::MAX]
}

/// The address of a host.
pub(crate) fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (1u8..224, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d).into()),
        any::<[u16; 7]>().prop_map(|[b, c, d, e, f, g, h]| {
            Ipv6Addr::new(0x2001, b, c, d, e, f, g, h).into()
        }),
    ]
}

/// An address that one can connect to.
pub(crate) fn socket() -> impl Strategy<Value = SocketAddr> {
    (ip(), port()).prop_map(SocketAddr::from)
}

/// A duration, often zero.
pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0..100_000u64).prop_map(Duration::from_millis),
        (0..9_223_372_035u64, 0..1_000_000_000u32).prop_map(|(s, n)| Duration::new(s, n)),
    ]
}
