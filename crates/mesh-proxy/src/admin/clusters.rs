//! `/clusters`: where requests may go, host by host, with what became of them.

use super::{Facts, descriptor, query::Query, reply::Reply};
use crate::upstream::status::{ClusterStatus, HostStatus};
use mesh_model::{
    ClusterName,
    cluster::{Discovery, Limits},
    endpoint::{HealthStatus, Locality},
};
use mesh_xds::pb::{
    envoy::{
        admin::v3::{self as admin, simple_metric},
        config::{
            cluster::v3::{CircuitBreakers, circuit_breakers::Thresholds},
            core::v3 as core,
        },
        r#type::v3::Percent,
    },
    google::protobuf::UInt32Value,
};
use std::{fmt::Write, net::SocketAddr, sync::Arc};

/// The page, as text or as `envoy.admin.v3.Clusters`.
pub(super) fn answer(facts: &Arc<Facts>, query: &Query) -> Reply {
    let clusters = facts.shared.clusters.status();
    if query.is_json() {
        let cluster_statuses = clusters.iter().map(status).collect();
        return descriptor::page(&admin::Clusters { cluster_statuses });
    }
    let mut out = String::new();
    for cluster in &clusters {
        let _ = write_text(&mut out, cluster);
    }
    Reply::text(out)
}

fn status(cluster: &ClusterStatus) -> admin::ClusterStatus {
    admin::ClusterStatus {
        name: cluster.name.to_string(),
        added_via_api: true,
        host_statuses: cluster.hosts.iter().map(host).collect(),
        circuit_breakers: Some(CircuitBreakers {
            thresholds: vec![
                thresholds(core::RoutingPriority::Default, limits(cluster)),
                thresholds(core::RoutingPriority::High, &Limits::ENVOY),
            ],
            ..Default::default()
        }),
        observability_name: cluster.name.to_string(),
        success_rate_ejection_threshold: percent(threshold(cluster, 0).map(|t| t.1)),
        local_origin_success_rate_ejection_threshold: percent(threshold(cluster, 1).map(|t| t.1)),
        eds_service_name: eds_name(cluster)
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

fn limits(cluster: &ClusterStatus) -> &Limits {
    &cluster.cluster.info.model.limits
}

fn eds_name(cluster: &ClusterStatus) -> Option<&ClusterName> {
    match &cluster.cluster.info.model.discovery {
        Discovery::Eds(name) => Some(name),
        Discovery::Static(_) | Discovery::Dns(_) | Discovery::OriginalDst => None,
    }
}

fn thresholds(priority: core::RoutingPriority, limits: &Limits) -> Thresholds {
    Thresholds {
        priority: priority.into(),
        max_connections: limit(limits.max_connections),
        max_pending_requests: limit(limits.max_pending_requests),
        max_requests: limit(limits.max_requests),
        max_retries: limit(limits.max_retries),
        ..Default::default()
    }
}

fn limit(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

fn host(host: &HostStatus) -> admin::HostStatus {
    // As Envoy does: counters first.
    let (gauges, counters): (Vec<_>, Vec<_>) = host.stats.iter().partition(|(_, _, gauge)| *gauge);
    admin::HostStatus {
        address: Some(address(host.address)),
        stats: counters.into_iter().chain(gauges).map(metric).collect(),
        health_status: Some(admin::HostHealthStatus {
            eds_health_status: health(host.health).into(),
            failed_outlier_check: host.is_ejected,
            ..Default::default()
        }),
        success_rate: percent(host.success_rates[0]),
        local_origin_success_rate: percent(host.success_rates[1]),
        weight: host.weight,
        priority: host.priority,
        locality: Some(locality(&host.locality)),
        ..Default::default()
    }
}

fn percent(value: Option<f64>) -> Option<Percent> {
    value.map(|value| Percent { value })
}

/// What success rates are compared with, of answers or of connections: their mean, and the least that passes.
fn threshold(cluster: &ClusterStatus, local: usize) -> Option<(f64, f64)> {
    let outliers = cluster.cluster.info.outliers.as_ref()?;
    outliers.stats.thresholds()[local]
}

fn metric((name, value, is_gauge): &(&'static str, u64, bool)) -> admin::SimpleMetric {
    let kind = if *is_gauge {
        simple_metric::Type::Gauge
    } else {
        simple_metric::Type::Counter
    };
    admin::SimpleMetric {
        r#type: kind.into(),
        value: *value,
        name: (*name).to_owned(),
    }
}

/// Of which nothing is said, Envoy says that it is healthy.
fn health(health: HealthStatus) -> core::HealthStatus {
    match health {
        HealthStatus::Unknown | HealthStatus::Healthy => core::HealthStatus::Healthy,
        HealthStatus::Unhealthy => core::HealthStatus::Unhealthy,
        HealthStatus::Draining => core::HealthStatus::Draining,
        HealthStatus::Degraded => core::HealthStatus::Degraded,
    }
}

fn locality(locality: &Locality) -> core::Locality {
    core::Locality {
        region: locality.region.to_string(),
        zone: locality.zone.to_string(),
        sub_zone: locality.sub_zone.to_string(),
    }
}

/// An address in Envoy's message.
pub(super) fn address(address: SocketAddr) -> core::Address {
    let port = core::socket_address::PortSpecifier::PortValue(address.port().into());
    core::Address {
        address: Some(core::address::Address::SocketAddress(core::SocketAddress {
            address: address.ip().to_string(),
            port_specifier: Some(port),
            ..Default::default()
        })),
    }
}

fn write_text(out: &mut String, cluster: &ClusterStatus) -> std::fmt::Result {
    let name = &cluster.name;
    writeln!(out, "{name}::observability_name::{name}")?;
    for (priority, limits) in [("default", limits(cluster)), ("high", &Limits::ENVOY)] {
        for (what, limit) in [
            ("max_connections", limits.max_connections),
            ("max_pending_requests", limits.max_pending_requests),
            ("max_requests", limits.max_requests),
            ("max_retries", limits.max_retries),
        ] {
            writeln!(out, "{name}::{priority}_priority::{what}::{limit}")?;
        }
    }
    writeln!(out, "{name}::added_via_api::true")?;
    if cluster.cluster.info.outliers.is_some() {
        for (local, prefix) in ["", "local_origin_"].into_iter().enumerate() {
            let (mean, least) = threshold(cluster, local).unwrap_or((-1.0, -1.0));
            let what = format!("{name}::outlier::{prefix}success_rate");
            writeln!(out, "{what}_average::{mean}")?;
            writeln!(out, "{what}_ejection_threshold::{least}")?;
        }
    }
    if let Some(eds) = eds_name(cluster) {
        writeln!(out, "{name}::eds_service_name::{eds}")?;
    }
    cluster
        .hosts
        .iter()
        .try_for_each(|host| write_host(out, name, host))
}

fn write_host(out: &mut String, cluster: &str, host: &HostStatus) -> std::fmt::Result {
    let at = format!("{cluster}::{}", host.address);
    for (name, value, _) in &host.stats {
        writeln!(out, "{at}::{name}::{value}")?;
    }
    let flags = flags(host);
    let Locality {
        region,
        zone,
        sub_zone,
    } = &*host.locality;
    writeln!(out, "{at}::hostname::")?;
    writeln!(out, "{at}::health_flags::{flags}")?;
    writeln!(out, "{at}::weight::{}", host.weight)?;
    writeln!(out, "{at}::region::{region}")?;
    writeln!(out, "{at}::zone::{zone}")?;
    writeln!(out, "{at}::sub_zone::{sub_zone}")?;
    writeln!(out, "{at}::canary::false")?;
    writeln!(out, "{at}::priority::{}", host.priority)?;
    let [rate, local] = host.success_rates.map(|rate| rate.unwrap_or(-1.0));
    writeln!(out, "{at}::success_rate::{rate}")?;
    writeln!(out, "{at}::local_origin_success_rate::{local}")
}

/// What speaks against a host, in Envoy's order.
fn flags(host: &HostStatus) -> String {
    let ejected = host.is_ejected.then_some("/failed_outlier_check");
    let reported = match host.health {
        HealthStatus::Unknown | HealthStatus::Healthy => None,
        HealthStatus::Unhealthy => Some("/failed_eds_health"),
        HealthStatus::Draining => Some("/eds_status_draining"),
        HealthStatus::Degraded => Some("/degraded_eds_health"),
    };
    let all: String = [ejected, reported].into_iter().flatten().collect();
    if all.is_empty() {
        return "healthy".to_owned();
    }
    all
}
