use super::*;
use crate::arbitrary;
use crate::pb::{
    envoy::config::{
        cluster::v3::cluster::{
            ClusterDiscoveryType, DiscoveryType, LbConfig, LbPolicy, MaglevLbConfig,
            RingHashLbConfig,
        },
        endpoint::v3::{
            ClusterLoadAssignment as WireAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
            lb_endpoint::HostIdentifier,
        },
    },
    google::protobuf::UInt64Value,
};
use mesh_model::{cluster::NamedAddress, endpoint::ClusterLoadAssignment};
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(value in arbitrary::cluster::cluster()) {
        let bytes = value.encode();
        prop_assert_eq!(&bytes, &value.clone().encode());
        let decoded = Cluster::decode(&bytes).expect("our own encoding");
        prop_assert_eq!(decoded, Decoded { value, ignored: vec![] });
    }
}

/// What is wrong with a cluster that was changed on the wire.
fn errors(change: impl FnOnce(&mut wire::Cluster)) -> Vec<String> {
    let nowhere = ClusterLoadAssignment::new("c".into());
    let mut wire = encode_head(&Cluster::new("c".into(), Discovery::Static(nowhere)));
    change(&mut wire);
    match Cluster::decode(&wire.encode_to_vec()) {
        Ok(_) => vec![],
        Err(invalid) => invalid.errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_table_that_could_not_be_filled_is_refused() {
    let maglev = |size| {
        errors(|wire| {
            wire.lb_policy = LbPolicy::Maglev.into();
            wire.lb_config = Some(LbConfig::MaglevLbConfig(MaglevLbConfig {
                table_size: Some(UInt64Value { value: size }),
            }));
        })
    };
    for prime in [2, 3, 251, 65_537, 5_000_011] {
        assert_eq!(maglev(prime), [""; 0], "{prime}");
    }
    for (size, why) in [
        (0, "0 is no prime"),
        (1, "1 is no prime"),
        (65_536, "65536 is no prime"),
        (3 * 65_537, "196611 is no prime"),
        (5_000_077, "is over 5000011"),
    ] {
        assert_eq!(
            maglev(size),
            [format!("maglev_lb_config.table_size: {why}")]
        );
    }
    let ring = |minimum, maximum| {
        errors(|wire| {
            wire.lb_policy = LbPolicy::RingHash.into();
            wire.lb_config = Some(LbConfig::RingHashLbConfig(RingHashLbConfig {
                minimum_ring_size: Some(UInt64Value { value: minimum }),
                maximum_ring_size: Some(UInt64Value { value: maximum }),
                ..Default::default()
            }));
        })
    };
    assert_eq!(ring(1, 1), [""; 0]);
    assert_eq!(
        ring(2, 1),
        ["ring_hash_lb_config.maximum_ring_size: is less than minimum_ring_size"]
    );
    let size = "ring_hash_lb_config.minimum_ring_size: is not between 1 and 8388608";
    assert_eq!(ring(0, 1), [size]);
}

#[test]
fn names_are_names() {
    let named = |host: &str| {
        errors(|wire| {
            wire.cluster_discovery_type =
                Some(ClusterDiscoveryType::Type(DiscoveryType::StrictDns.into()));
            let address = NamedAddress {
                host: host.into(),
                port: 80,
            };
            let endpoint = LbEndpoint {
                host_identifier: Some(HostIdentifier::Endpoint(Endpoint {
                    address: Some(address::encode_named(&address)),
                    ..Default::default()
                })),
                ..Default::default()
            };
            wire.load_assignment = Some(WireAssignment {
                cluster_name: "c".into(),
                endpoints: vec![LocalityLbEndpoints {
                    lb_endpoints: vec![endpoint],
                    ..Default::default()
                }],
                ..Default::default()
            });
        })
    };
    for good in [
        "a",
        "api.example.com",
        "a.b.",
        "_x.y-z",
        "10.0.0.1",
        "fd00::1",
    ] {
        assert_eq!(named(good), [""; 0], "{good}");
    }
    for bad in [
        "",
        ".",
        "a..b",
        "a b",
        "a/b",
        "*.a",
        "fe80::1%eth0",
        &"a".repeat(64),
    ] {
        assert_eq!(named(bad).len(), 1, "{bad:?}");
    }
}
