//! Discovery by name ↔ Envoy's `STRICT_DNS` and `LOGICAL_DNS`.

use crate::{
    decode::{self, At, Extension, wire_duration},
    endpoint,
    pb::{
        envoy::{
            config::{
                cluster::v3::{
                    Cluster as Wire,
                    cluster::{DiscoveryType, DnsLookupFamily, RefreshRate},
                },
                core::v3::TypedExtensionConfig,
            },
            extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig,
        },
        google::protobuf::Duration as WireDuration,
    },
};
use mesh_model::cluster::{DEFAULT_DNS_REFRESH, DnsDiscovery, DnsKind, LookupFamily};
use prost::Name;
use std::{mem::take, time::Duration};

/// Envoy's longest time after a failure, in first ones.
const LONGEST_FAILURE: u32 = 10;
/// Envoy wants more than this between lookups.
const SHORTEST: Duration = Duration::from_millis(1);

pub(super) fn encode_type(dns: &DnsDiscovery) -> DiscoveryType {
    match dns.kind {
        DnsKind::Strict => DiscoveryType::StrictDns,
        DnsKind::Logical => DiscoveryType::LogicalDns,
    }
}

/// Fills the fields of discovery by name into `wire`.
#[allow(deprecated)] // what they gave way to is an extension that few control planes send
pub(super) fn encode(dns: &DnsDiscovery, wire: &mut Wire) {
    wire.dns_refresh_rate = Some(wire_duration(dns.refresh));
    wire.dns_failure_refresh_rate = dns.failure_refresh.map(|(base, max)| RefreshRate {
        base_interval: Some(wire_duration(base)),
        max_interval: Some(wire_duration(max)),
    });
    wire.respect_dns_ttl = dns.respect_ttl;
    wire.dns_jitter = Some(wire_duration(dns.jitter));
    let family = match dns.family {
        LookupFamily::Auto => DnsLookupFamily::Auto,
        LookupFamily::V4Only => DnsLookupFamily::V4Only,
        LookupFamily::V6Only => DnsLookupFamily::V6Only,
        LookupFamily::V4Preferred => DnsLookupFamily::V4Preferred,
        LookupFamily::All => DnsLookupFamily::All,
    };
    wire.dns_lookup_family = family.into();
}

/// Takes the fields of discovery by name out of `wire`.
#[allow(deprecated)] // see `encode`
pub(super) fn decode(wire: &mut Wire, kind: DnsKind, at: &At<'_>) -> Option<DnsDiscovery> {
    let listed = wire.load_assignment.take();
    let endpoints = at.required("load_assignment", listed, endpoint::decode_named);
    let refresh = wire.dns_refresh_rate.take();
    let refresh = at.optional("dns_refresh_rate", refresh, decode_interval);
    let failure = wire.dns_failure_refresh_rate.take();
    let failure = at.optional("dns_failure_refresh_rate", failure, decode_rate);
    let jitter = at.optional("dns_jitter", wire.dns_jitter.take(), decode::duration);
    let respect_ttl = take(&mut wire.respect_dns_ttl);
    let family = take(&mut wire.dns_lookup_family);
    let family = decode::variant(family, &at.field("dns_lookup_family"));
    let resolver = wire.typed_dns_resolver_config.take();
    let resolver = at.optional("typed_dns_resolver_config", resolver, expect_resolver);
    let (endpoints, _) = (endpoints?, resolver?);
    if kind == DnsKind::Logical && endpoints.endpoints().count() != 1 {
        return at
            .field("load_assignment")
            .refuse("LOGICAL_DNS has one endpoint");
    }
    Some(DnsDiscovery {
        endpoints,
        kind,
        family: match family? {
            DnsLookupFamily::Auto => LookupFamily::Auto,
            DnsLookupFamily::V4Only => LookupFamily::V4Only,
            DnsLookupFamily::V6Only => LookupFamily::V6Only,
            DnsLookupFamily::V4Preferred => LookupFamily::V4Preferred,
            DnsLookupFamily::All => LookupFamily::All,
        },
        refresh: refresh?.unwrap_or(DEFAULT_DNS_REFRESH),
        failure_refresh: failure?,
        respect_ttl,
        jitter: jitter?.unwrap_or_default(),
    })
}

fn decode_rate(mut wire: RefreshRate, at: &At<'_>) -> Option<(Duration, Duration)> {
    let base = wire.base_interval.take();
    let base = at.required("base_interval", base, decode_interval);
    let max = wire.max_interval.take();
    let max = at.optional("max_interval", max, decode_interval);
    at.finish(wire);
    let base = base?;
    match max?.unwrap_or(base.saturating_mul(LONGEST_FAILURE)) {
        max if max < base => at
            .field("max_interval")
            .refuse("is less than base_interval"),
        max => Some((base, max)),
    }
}

fn decode_interval(wire: WireDuration, at: &At<'_>) -> Option<Duration> {
    match decode::duration(wire, at)? {
        short if short <= SHORTEST => at.refuse("must be more than a millisecond"),
        duration => Some(duration),
    }
}

/// Accepts the library that resolves names in Envoy, unless it is to ask servers of its own: ours asks those of the pod.
fn expect_resolver(mut wire: TypedExtensionConfig, at: &At<'_>) -> Option<()> {
    let config = at.required("typed_config", wire.typed_config.take(), Extension::open);
    wire.name.clear();
    at.finish(wire);
    let (config, inner) = (config?, at.field("typed_config"));
    if config.type_name != CaresDnsResolverConfig::full_name() {
        return config.unknown(&inner);
    }
    let cares: CaresDnsResolverConfig = config.message(&inner)?;
    if !cares.resolvers.is_empty() {
        return inner
            .field("resolvers")
            .refuse("names are asked of the pod's name servers");
    }
    at.ignore("names are looked up by the proxy's own resolver");
    Some(())
}
