//! Where a cluster's endpoints come from.

use super::dns;
use crate::{
    decode::{At, variant},
    decoration, endpoint,
    pb::envoy::config::cluster::v3::{
        Cluster as Wire,
        cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig},
    },
    sorted,
};
use mesh_model::{
    ClusterName,
    cluster::{Cluster, Discovery, DnsKind, LbPolicy},
    endpoint::ClusterLoadAssignment,
};
use std::mem::take;

pub(super) fn encode_type(discovery: &Discovery) -> ClusterDiscoveryType {
    let discovery = match discovery {
        Discovery::Static(_) => DiscoveryType::Static,
        Discovery::Eds(_) => DiscoveryType::Eds,
        Discovery::Dns(dns) => dns::encode_type(dns),
        Discovery::OriginalDst => DiscoveryType::OriginalDst,
    };
    ClusterDiscoveryType::Type(discovery.into())
}

pub(super) fn encode_eds(discovery: &Discovery) -> Option<EdsClusterConfig> {
    match discovery {
        Discovery::Eds(name) => Some(EdsClusterConfig {
            eds_config: Some(decoration::ads_source()),
            service_name: name.to_string(),
        }),
        _ => None,
    }
}

/// A cluster that never has endpoints is written without a list of them.
pub(super) fn encode_static(cluster: &Cluster) -> Option<sorted::ClusterLoadAssignment> {
    match &cluster.discovery {
        Discovery::Static(all) if *all != nowhere(cluster.name.as_str()) => {
            Some(endpoint::encode_assignment(all))
        }
        Discovery::Dns(dns) => Some(endpoint::encode_named(&dns.endpoints)),
        _ => None,
    }
}

fn nowhere(cluster: &str) -> ClusterLoadAssignment {
    ClusterLoadAssignment {
        cluster: cluster.into(),
        localities: vec![],
    }
}

/// Takes the fields of discovery out of `wire`, the cluster called `name`.
pub(super) fn decode(wire: &mut Wire, name: &str, at: &At<'_>) -> Option<Discovery> {
    let number = match wire.cluster_discovery_type.take() {
        None => DiscoveryType::Static.into(),
        Some(ClusterDiscoveryType::Type(number)) => number,
        Some(ClusterDiscoveryType::ClusterType(custom)) => {
            let what = format!("this proxy does not execute {:?}", custom.name);
            return at.field("cluster_type").refuse(what);
        }
    };
    let at_type = at.field("type");
    match variant(number, &at_type)? {
        DiscoveryType::Static => {
            let listed = wire.load_assignment.take();
            let listed = at.optional("load_assignment", listed, endpoint::decode_assignment)?;
            Some(Discovery::Static(listed.unwrap_or_else(|| nowhere(name))))
        }
        DiscoveryType::Eds => {
            let config = wire.eds_cluster_config.take();
            let asked = at.required("eds_cluster_config", config, decode_eds)?;
            Some(Discovery::Eds(asked.unwrap_or_else(|| name.into())))
        }
        DiscoveryType::OriginalDst => Some(Discovery::OriginalDst),
        DiscoveryType::StrictDns => decode_dns(wire, DnsKind::Strict, at),
        DiscoveryType::LogicalDns => decode_dns(wire, DnsKind::Logical, at),
    }
}

fn decode_dns(wire: &mut Wire, kind: DnsKind, at: &At<'_>) -> Option<Discovery> {
    dns::decode(wire, kind, at).map(|dns| Discovery::Dns(Box::new(dns)))
}

/// The name to ask for, if it is not the cluster's own.
fn decode_eds(mut wire: EdsClusterConfig, at: &At<'_>) -> Option<Option<ClusterName>> {
    let name = take(&mut wire.service_name);
    let source = at.required("eds_config", wire.eds_config.take(), decoration::expect_ads);
    at.finish(wire);
    source.map(|()| (!name.is_empty()).then(|| name.into()))
}

/// Original destinations are their own choice, and nothing else is.
pub(super) fn expect_policy(cluster: &Cluster, at: &At<'_>) -> Option<()> {
    let original = cluster.discovery == Discovery::OriginalDst;
    match original == (cluster.lb_policy == LbPolicy::ClusterProvided) {
        true => Some(()),
        false => at
            .field("lb_policy")
            .refuse("is CLUSTER_PROVIDED for ORIGINAL_DST, and for nothing else"),
    }
}
