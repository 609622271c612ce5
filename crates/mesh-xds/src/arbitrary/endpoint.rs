//! Arbitrary endpoints.

use super::{socket, word};
use mesh_model::endpoint::{
    ClusterLoadAssignment, Endpoint, HealthStatus, Locality, LocalityEndpoints,
};
use proptest::{collection, option, prelude::*};
use std::sync::Arc;

/// All endpoints of a cluster.
pub(crate) fn assignment() -> impl Strategy<Value = ClusterLoadAssignment> {
    (word(), collection::vec(locality_endpoints(), 0..3)).prop_map(|(cluster, localities)| {
        ClusterLoadAssignment {
            cluster: cluster.into(),
            localities,
        }
    })
}

fn locality_endpoints() -> impl Strategy<Value = LocalityEndpoints> {
    (
        locality(),
        option::of(1..=u32::MAX),
        0..=128u32,
        collection::vec(endpoint(), 0..3),
    )
        .prop_map(
            |(locality, weight, priority, endpoints)| LocalityEndpoints {
                locality,
                weight,
                priority,
                endpoints,
            },
        )
}

fn locality() -> impl Strategy<Value = Locality> {
    let part = || prop_oneof![Just(String::new()), word()].prop_map(Arc::<str>::from);
    (part(), part(), part()).prop_map(|(region, zone, sub_zone)| Locality {
        region,
        zone,
        sub_zone,
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (
        socket(),
        prop::sample::select(vec![
            HealthStatus::Unknown,
            HealthStatus::Healthy,
            HealthStatus::Unhealthy,
            HealthStatus::Draining,
            HealthStatus::Degraded,
        ]),
        1..=u32::MAX,
        collection::btree_map(word(), word(), 0..4),
        option::of(word()),
    )
        .prop_map(|(address, health, weight, labels, workload)| Endpoint {
            address,
            health,
            weight,
            transport_match: labels
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            workload: workload.map(Into::into),
        })
}
