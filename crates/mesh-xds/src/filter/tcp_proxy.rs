//! The TCP proxy.

use crate::{
    access_log,
    decode::{self, At, wire_duration},
    pb::envoy::{
        extensions::filters::network::tcp_proxy::v3::{
            TcpProxy as Wire, tcp_proxy::ClusterSpecifier,
        },
        r#type::v3::{
            HashPolicy,
            hash_policy::{PolicySpecifier, SourceIp},
        },
    },
};
use mesh_model::filter::TcpProxy;
use std::mem::take;

pub(super) fn encode(proxy: &TcpProxy) -> Wire {
    Wire {
        stat_prefix: proxy.stat_prefix.clone(),
        cluster_specifier: Some(ClusterSpecifier::Cluster(proxy.cluster.to_string())),
        idle_timeout: proxy.idle_timeout.map(wire_duration),
        hash_policy: match proxy.hash_source_ip {
            true => vec![HashPolicy {
                policy_specifier: Some(PolicySpecifier::SourceIp(SourceIp {})),
            }],
            false => Vec::new(),
        },
        access_log: proxy.access_logs.iter().map(access_log::encode).collect(),
        ..Default::default()
    }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<TcpProxy> {
    let stat_prefix = at.text("stat_prefix", take(&mut wire.stat_prefix));
    let cluster = match wire.cluster_specifier.take() {
        Some(ClusterSpecifier::Cluster(name)) => at.text("cluster", name),
        Some(ClusterSpecifier::WeightedClusters(_)) => at
            .field("weighted_clusters")
            .refuse("this proxy does not execute it"),
        None => at.field("cluster").refuse("must be set"),
    };
    let idle_timeout = at.optional("idle_timeout", wire.idle_timeout.take(), decode::duration);
    let access_logs = at.list("access_log", take(&mut wire.access_log), access_log::decode);
    let hash = at.list("hash_policy", take(&mut wire.hash_policy), decode_hash);
    at.finish(wire);
    Some(TcpProxy {
        hash_source_ip: !hash?.is_empty(),
        stat_prefix: stat_prefix?,
        cluster: cluster?.into(),
        idle_timeout: idle_timeout?,
        access_logs: access_logs?,
    })
}

fn decode_hash(wire: HashPolicy, at: &At<'_>) -> Option<()> {
    match wire.policy_specifier {
        Some(PolicySpecifier::SourceIp(_)) => Some(()),
        Some(PolicySpecifier::FilterState(_)) => at
            .field("filter_state")
            .refuse("this proxy keeps no such state"),
        None => at.field("policy_specifier").refuse("must be set"),
    }
}
