//! Among which endpoints is picked, and how many requests a cluster takes.

use crate::{
    decode::{self, At, Wrapped},
    pb::{
        envoy::{
            config::{
                cluster::v3::{
                    CircuitBreakers,
                    circuit_breakers::Thresholds,
                    cluster::{
                        CommonLbConfig,
                        common_lb_config::{LocalityConfigSpecifier, LocalityWeightedLbConfig},
                    },
                },
                core::v3::RoutingPriority,
            },
            r#type::v3::Percent as WirePercent,
        },
        google::protobuf::UInt32Value,
    },
};
use mesh_model::cluster::{Cluster, Limits, Percent};
use std::mem::take;

/// Limits as Envoy has them anyway are not written. That the gauges of what remains are kept is decoration.
pub(super) fn encode_limits(limits: &Limits) -> Option<CircuitBreakers> {
    let thresholds = Thresholds {
        priority: RoutingPriority::Default.into(),
        max_connections: Some(UInt32Value::wrap(limits.max_connections)),
        max_pending_requests: Some(UInt32Value::wrap(limits.max_pending_requests)),
        max_requests: Some(UInt32Value::wrap(limits.max_requests)),
        max_retries: Some(UInt32Value::wrap(limits.max_retries)),
        track_remaining: true,
        ..Default::default()
    };
    (*limits != Limits::ENVOY).then(|| CircuitBreakers {
        thresholds: vec![thresholds],
        ..Default::default()
    })
}

pub(super) fn decode_limits(mut wire: CircuitBreakers, at: &At<'_>) -> Option<Limits> {
    let thresholds = at.list("thresholds", take(&mut wire.thresholds), decode_thresholds);
    at.finish(wire);
    let mut thresholds = thresholds?.into_iter().flatten();
    let limits = thresholds.next().unwrap_or(Limits::ENVOY);
    match thresholds.next() {
        None => Some(limits),
        Some(_) => at.field("thresholds").refuse("one priority has two limits"),
    }
}

/// The limits of the default priority; no route of this proxy has another.
fn decode_thresholds(mut wire: Thresholds, at: &At<'_>) -> Option<Option<Limits>> {
    let limit =
        |wire: &mut Option<UInt32Value>, default| wire.take().map_or(default, Wrapped::inner);
    let limits = Limits {
        max_connections: limit(&mut wire.max_connections, Limits::ENVOY.max_connections),
        max_pending_requests: limit(
            &mut wire.max_pending_requests,
            Limits::ENVOY.max_pending_requests,
        ),
        max_requests: limit(&mut wire.max_requests, Limits::ENVOY.max_requests),
        max_retries: limit(&mut wire.max_retries, Limits::ENVOY.max_retries),
    };
    wire.track_remaining = false;
    let priority = decode::variant(take(&mut wire.priority), &at.field("priority"))?;
    at.finish(wire);
    match priority {
        RoutingPriority::Default => Some(Some(limits)),
        RoutingPriority::High => {
            at.ignore("no route has high priority");
            Some(None)
        }
    }
}

/// The part of a cluster that `CommonLbConfig` holds.
#[derive(Default)]
pub(super) struct Common {
    pub(super) panic_threshold: Option<Percent>,
    pub(super) locality_weighted: bool,
}

pub(super) fn encode_common(cluster: &Cluster) -> Option<CommonLbConfig> {
    let weighted = LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {});
    let common = CommonLbConfig {
        healthy_panic_threshold: cluster.healthy_panic_threshold.map(|p| WirePercent {
            value: p.get().into(),
        }),
        locality_config_specifier: cluster.locality_weighted.then_some(weighted),
        ..Default::default()
    };
    (common != CommonLbConfig::default()).then_some(common)
}

pub(super) fn decode_common(mut wire: CommonLbConfig, at: &At<'_>) -> Option<Common> {
    let panic_threshold = at.optional(
        "healthy_panic_threshold",
        wire.healthy_panic_threshold.take(),
        |wire, at| decode::percent(wire, 1, at),
    );
    let locality_weighted = match wire.locality_config_specifier.take() {
        None => false,
        Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(_)) => true,
        zone_aware => {
            wire.locality_config_specifier = zone_aware;
            false
        }
    };
    at.finish(wire);
    let panic_threshold = panic_threshold?.and_then(|p| Percent::new(u8::try_from(p).ok()?));
    Some(Common {
        panic_threshold,
        locality_weighted,
    })
}
