//! Endpoints of a cluster ↔ Envoy `ClusterLoadAssignment`.

use crate::{
    address,
    decode::{self, At, Fields, Wrapped},
    metadata::{ISTIO, Metadata, TRANSPORT_SOCKET_MATCH},
    pb::{
        envoy::config::{
            core::v3::{self as core, Address},
            endpoint::v3::{self as wire, lb_endpoint::HostIdentifier},
        },
        google::protobuf::UInt32Value,
    },
    resource::{Decoded, Invalid, Resource, ResourceType},
    sorted,
};
use bytes::Bytes;
use mesh_model::{
    cluster::NamedAddress,
    endpoint::{ClusterLoadAssignment, Endpoint, HealthStatus, Locality, LocalityEndpoints},
};
use prost::Message;
use std::{mem::take, sync::Arc};

impl Resource for ClusterLoadAssignment {
    const KIND: ResourceType = ResourceType::Endpoint;

    fn name(&self) -> &str {
        self.cluster.as_str()
    }

    fn encode(&self) -> Bytes {
        encode_assignment(self).encode_to_vec().into()
    }

    fn decode(bytes: &[u8]) -> Result<Decoded<Self>, Invalid> {
        decode::decode(bytes, decode_assignment)
    }
}

/// Known addresses.
pub(crate) fn encode_assignment(all: &ClusterLoadAssignment) -> sorted::ClusterLoadAssignment {
    encode_all(all, &|address| address::encode(*address))
}

/// Addresses that have to be looked up.
pub(crate) fn encode_named(
    all: &ClusterLoadAssignment<NamedAddress>,
) -> sorted::ClusterLoadAssignment {
    encode_all(all, &address::encode_named)
}

fn encode_all<A>(
    all: &ClusterLoadAssignment<A>,
    address: &impl Fn(&A) -> Address,
) -> sorted::ClusterLoadAssignment {
    let localities = all.localities.iter();
    sorted::ClusterLoadAssignment {
        cluster_name: all.cluster.to_string(),
        endpoints: localities.map(|l| encode_locality(l, address)).collect(),
    }
}

fn encode_locality<A>(
    all: &LocalityEndpoints<A>,
    address: &impl Fn(&A) -> Address,
) -> sorted::LocalityLbEndpoints {
    let endpoints = all.endpoints.iter();
    sorted::LocalityLbEndpoints {
        locality: Some(core::Locality {
            region: all.locality.region.to_string(),
            zone: all.locality.zone.to_string(),
            sub_zone: all.locality.sub_zone.to_string(),
        }),
        lb_endpoints: endpoints.map(|e| encode_endpoint(e, address)).collect(),
        load_balancing_weight: all.weight.map(UInt32Value::wrap),
        priority: all.priority,
    }
}

fn encode_endpoint<A>(
    endpoint: &Endpoint<A>,
    address: &impl Fn(&A) -> Address,
) -> sorted::LbEndpoint {
    let labels = endpoint.transport_match.iter();
    let labels = labels.map(|(key, value)| (&**key, sorted::text(&**value)));
    let workload = endpoint.workload.iter();
    let workload = workload.map(|w| ("workload", sorted::text(&**w)));
    sorted::LbEndpoint {
        endpoint: Some(wire::Endpoint {
            address: Some(address(&endpoint.address)),
            ..Default::default()
        }),
        health_status: encode_health(endpoint.health).into(),
        metadata: sorted::Metadata::new([
            (TRANSPORT_SOCKET_MATCH, sorted::object(labels)),
            (ISTIO, sorted::object(workload)),
        ]),
        load_balancing_weight: Some(UInt32Value::wrap(endpoint.weight)),
    }
}

fn encode_health(health: HealthStatus) -> core::HealthStatus {
    match health {
        HealthStatus::Unknown => core::HealthStatus::Unknown,
        HealthStatus::Healthy => core::HealthStatus::Healthy,
        HealthStatus::Unhealthy => core::HealthStatus::Unhealthy,
        HealthStatus::Draining => core::HealthStatus::Draining,
        HealthStatus::Degraded => core::HealthStatus::Degraded,
    }
}

/// Known addresses.
pub(crate) fn decode_assignment(
    wire: wire::ClusterLoadAssignment,
    at: &At<'_>,
) -> Option<ClusterLoadAssignment> {
    decode_all(wire, &address::endpoint, at)
}

/// Addresses that may have to be looked up.
pub(crate) fn decode_named(
    wire: wire::ClusterLoadAssignment,
    at: &At<'_>,
) -> Option<ClusterLoadAssignment<NamedAddress>> {
    decode_all(wire, &address::named, at)
}

fn decode_all<A>(
    mut wire: wire::ClusterLoadAssignment,
    address: &impl Fn(Address, &At<'_>) -> Option<A>,
    at: &At<'_>,
) -> Option<ClusterLoadAssignment<A>> {
    let cluster = at.text("cluster_name", take(&mut wire.cluster_name));
    let localities = at.list("endpoints", take(&mut wire.endpoints), |wire, at| {
        decode_locality(wire, address, at)
    });
    at.finish(wire);
    Some(ClusterLoadAssignment {
        cluster: cluster?.into(),
        localities: localities?,
    })
}

fn decode_locality<A>(
    mut wire: wire::LocalityLbEndpoints,
    address: &impl Fn(Address, &At<'_>) -> Option<A>,
    at: &At<'_>,
) -> Option<LocalityEndpoints<A>> {
    let locality = wire.locality.take().unwrap_or_default();
    let weight = at.optional(
        "load_balancing_weight",
        wire.load_balancing_weight.take(),
        decode_weight,
    );
    let priority = take(&mut wire.priority);
    let endpoints = at.list("lb_endpoints", take(&mut wire.lb_endpoints), |wire, at| {
        decode_endpoint(wire, address, at)
    });
    at.finish(wire);
    if priority > 128 {
        return at.field("priority").refuse("is over 128");
    }
    let endpoints = endpoints?;
    let sum: u64 = endpoints.iter().map(|e| u64::from(e.weight)).sum();
    if sum > u32::MAX.into() {
        let at = at.field("lb_endpoints");
        return at.refuse("have weights whose sum is over 4294967295");
    }
    Some(LocalityEndpoints {
        locality: Locality {
            region: locality.region.into(),
            zone: locality.zone.into(),
            sub_zone: locality.sub_zone.into(),
        },
        weight: weight?,
        priority,
        endpoints,
    })
}

fn decode_weight(wire: UInt32Value, at: &At<'_>) -> Option<u32> {
    match wire.value {
        0 => at.refuse("must be at least 1"),
        weight => Some(weight),
    }
}

fn decode_endpoint<A>(
    mut wire: wire::LbEndpoint,
    address: &impl Fn(Address, &At<'_>) -> Option<A>,
    at: &At<'_>,
) -> Option<Endpoint<A>> {
    let address = match wire.host_identifier.take() {
        Some(HostIdentifier::Endpoint(host)) => decode_host(host, address, &at.field("endpoint")),
        Some(HostIdentifier::EndpointName(_)) => at
            .field("endpoint_name")
            .refuse("endpoints are not named here"),
        None => at.field("endpoint").refuse("must be set"),
    };
    let health = decode::variant(take(&mut wire.health_status), &at.field("health_status"));
    let weight = at.optional(
        "load_balancing_weight",
        wire.load_balancing_weight.take(),
        decode_weight,
    );
    let metadata_at = at.field("metadata");
    let mut metadata = Metadata::open(wire.metadata.take(), &metadata_at);
    let transport_match = metadata.take(TRANSPORT_SOCKET_MATCH, &metadata_at, Fields::texts);
    let workload = metadata.take(ISTIO, &metadata_at, decode_workload);
    metadata.finish(&metadata_at);
    at.finish(wire);
    Some(Endpoint {
        address: address?,
        health: decode_health(health?),
        weight: weight?.unwrap_or(1),
        transport_match: interned(transport_match?),
        workload: workload?,
    })
}

fn decode_host<A>(
    mut wire: wire::Endpoint,
    address: &impl Fn(Address, &At<'_>) -> Option<A>,
    at: &At<'_>,
) -> Option<A> {
    let address = at.required("address", wire.address.take(), address);
    at.finish(wire);
    address
}

fn decode_workload(mut fields: Fields, at: &At<'_>) -> Option<Option<Arc<str>>> {
    let workload = fields.text("workload", at);
    fields.finish("istio metadata of an endpoint", at);
    workload.map(|w| (!w.is_empty()).then(|| w.into()))
}

fn decode_health(wire: core::HealthStatus) -> HealthStatus {
    match wire {
        core::HealthStatus::Unknown => HealthStatus::Unknown,
        core::HealthStatus::Healthy => HealthStatus::Healthy,
        core::HealthStatus::Unhealthy | core::HealthStatus::Timeout => HealthStatus::Unhealthy,
        core::HealthStatus::Draining => HealthStatus::Draining,
        core::HealthStatus::Degraded => HealthStatus::Degraded,
    }
}

fn interned(labels: Vec<(String, String)>) -> Vec<(Arc<str>, Arc<str>)> {
    let labels = labels.into_iter();
    labels
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

#[cfg(test)]
mod tests;
