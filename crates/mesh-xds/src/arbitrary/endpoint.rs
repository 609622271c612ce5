//! Arbitrary endpoints.

use super::{ip, port, socket, word};
use mesh_model::{
    cluster::NamedAddress,
    endpoint::{ClusterLoadAssignment, Endpoint, HealthStatus, Locality, LocalityEndpoints},
};
use proptest::{collection, option, prelude::*};
use std::{fmt::Debug, sync::Arc};

/// All endpoints of a cluster.
pub(crate) fn assignment() -> impl Strategy<Value = ClusterLoadAssignment> {
    of(socket)
}

/// All endpoints of a cluster, by name.
pub(crate) fn named() -> impl Strategy<Value = ClusterLoadAssignment<NamedAddress>> {
    of(named_address)
}

/// The only endpoint of a cluster, by name.
pub(crate) fn one_named() -> impl Strategy<Value = ClusterLoadAssignment<NamedAddress>> {
    (word(), endpoint(named_address())).prop_map(|(cluster, endpoint)| ClusterLoadAssignment {
        cluster: cluster.into(),
        localities: vec![LocalityEndpoints {
            endpoints: vec![endpoint],
            ..LocalityEndpoints::default()
        }],
    })
}

fn named_address() -> impl Strategy<Value = NamedAddress> {
    let name = prop::sample::select(vec!["a", "api.example.com", "_x.b-c"]).prop_map(String::from);
    let host = prop_oneof![name, ip().prop_map(|ip| ip.to_string())];
    (host, port()).prop_map(|(host, port)| NamedAddress { host, port })
}

fn of<A: Debug, S: Strategy<Value = A>>(
    address: impl Fn() -> S,
) -> impl Strategy<Value = ClusterLoadAssignment<A>> {
    let localities = collection::vec(locality_endpoints(address()), 0..3);
    (word(), localities).prop_map(|(cluster, localities)| ClusterLoadAssignment {
        cluster: cluster.into(),
        localities,
    })
}

fn locality_endpoints<A: Debug>(
    address: impl Strategy<Value = A>,
) -> impl Strategy<Value = LocalityEndpoints<A>> {
    (
        locality(),
        option::of(1..=u32::MAX),
        0..=128u32,
        collection::vec(endpoint(address), 0..3),
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

fn endpoint<A: Debug>(address: impl Strategy<Value = A>) -> impl Strategy<Value = Endpoint<A>> {
    (
        address,
        prop::sample::select(vec![
            HealthStatus::Unknown,
            HealthStatus::Healthy,
            HealthStatus::Unhealthy,
            HealthStatus::Draining,
            HealthStatus::Degraded,
        ]),
        // The sum of a locality's is limited, too.
        1..=u32::MAX / 4,
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
