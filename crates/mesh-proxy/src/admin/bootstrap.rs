//! What the proxy started with, in Envoy's words.
//!
//! Envoy is given a bootstrap; we are given settings, and say the same with them: who we are, where the admin interface
//! and the control plane are. Tools read the node out of it.

use super::clusters::address;
use crate::{config::Settings, xds};
use mesh_model::name::XDS_CLUSTER;
use mesh_xds::pb::envoy::config::{
    bootstrap::v3::{
        Admin, Bootstrap,
        bootstrap::{DynamicResources, StaticResources},
    },
    cluster::v3::{
        Cluster,
        cluster::{ClusterDiscoveryType, DiscoveryType},
    },
    core::v3::{self as core, address::Address as Kind, socket_address::PortSpecifier},
    endpoint::v3::{
        ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
        lb_endpoint::HostIdentifier,
    },
};

/// The bootstrap that an Envoy in our place would have been given.
pub(super) fn bootstrap(settings: &Settings) -> Bootstrap {
    Bootstrap {
        node: Some(xds::node::node(settings)),
        admin: Some(Admin {
            address: Some(address(settings.addresses.admin)),
            ..Default::default()
        }),
        static_resources: Some(StaticResources {
            clusters: vec![control_plane(settings)],
            ..Default::default()
        }),
        dynamic_resources: Some(DynamicResources {
            lds_config: Some(ads()),
            cds_config: Some(ads()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The way to the control plane, as a static cluster.
pub(super) fn control_plane(settings: &Settings) -> Cluster {
    let (host, port) = settings
        .discovery_address
        .rsplit_once(':')
        .unwrap_or((&settings.discovery_address, ""));
    let socket = core::SocketAddress {
        address: host.to_owned(),
        port_specifier: port.parse().ok().map(PortSpecifier::PortValue),
        ..Default::default()
    };
    let endpoint = Endpoint {
        address: Some(core::Address {
            address: Some(Kind::SocketAddress(socket)),
        }),
        ..Default::default()
    };
    let endpoint = LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
        ..Default::default()
    };
    Cluster {
        name: XDS_CLUSTER.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::StrictDns.into())),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: XDS_CLUSTER.to_owned(),
            endpoints: vec![LocalityLbEndpoints {
                lb_endpoints: vec![endpoint],
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn ads() -> core::ConfigSource {
    core::ConfigSource {
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource {},
        )),
        resource_api_version: core::ApiVersion::V3.into(),
        ..Default::default()
    }
}
