//! Clusters ↔ Envoy `Cluster`.

mod balance; // limits, panic threshold
mod discovery; // where endpoints come from
mod dns; // endpoints that are looked up by name
mod http; // the HTTP version spoken upstream
mod outlier; // which endpoints are ejected
mod policy; // how an endpoint is picked
mod service; // the services that it stands for

use crate::{
    address,
    decode::{self, At, Fields, wire_duration},
    decoration,
    metadata::{ISTIO, Metadata},
    pb::envoy::config::{
        cluster::v3::{self as wire, cluster::TransportSocketMatch},
        core::v3::BindConfig,
    },
    resource::{Decoded, Invalid, Resource, ResourceType},
    sorted, tls,
};
use bytes::Bytes;
use mesh_model::cluster::{
    Cluster, DEFAULT_CONNECT_TIMEOUT, Discovery, Limits, Transport, TransportMatch,
};
use prost::Message;
use std::{mem::take, net::IpAddr};

impl Resource for Cluster {
    const KIND: ResourceType = ResourceType::Cluster;

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn encode(&self) -> Bytes {
        let mut bytes = encode_head(self).encode_to_vec();
        // Fields of one message may stand in any order, so that its parts may be encoded one after the other.
        bytes.extend(encode_tail(self).encode_to_vec());
        bytes.into()
    }

    fn decode(bytes: &[u8]) -> Result<Decoded<Self>, Invalid> {
        decode::decode(bytes, decode_cluster)
    }
}

fn encode_head(cluster: &Cluster) -> wire::Cluster {
    let mut wire = wire::Cluster {
        name: cluster.name.to_string(),
        cluster_discovery_type: Some(discovery::encode_type(&cluster.discovery)),
        eds_cluster_config: discovery::encode_eds(&cluster.discovery),
        connect_timeout: Some(wire_duration(cluster.connect_timeout)),
        lb_policy: policy::encode(cluster.lb_policy).into(),
        lb_config: policy::encode_config(cluster.lb_policy),
        circuit_breakers: balance::encode_limits(&cluster.limits),
        common_lb_config: balance::encode_common(cluster),
        outlier_detection: cluster.outlier_detection.as_ref().map(outlier::encode),
        transport_socket: match &cluster.transport {
            Transport::RawBuffer => None,
            tls => Some(tls::encode_transport(tls)),
        },
        typed_extension_protocol_options: http::encode(
            cluster.http_protocol,
            http::Connections {
                idle: cluster.idle_timeout,
                requests: cluster.max_requests_per_connection,
            },
        ),
        upstream_bind_config: cluster.source_address.map(|ip| BindConfig {
            source_address: Some(address::socket(ip, 0)),
            ..Default::default()
        }),
        filters: decoration::cluster_filters(offered(cluster)),
        ..Default::default()
    };
    if let Discovery::Dns(dns) = &cluster.discovery {
        dns::encode(dns, &mut wire);
    }
    wire
}

/// All ALPN protocols that any of its transports offers.
fn offered(cluster: &Cluster) -> impl Iterator<Item = &String> {
    let transports = cluster.transport_matches.iter().map(|m| &m.transport);
    transports
        .chain([&cluster.transport])
        .flat_map(|transport| match transport {
            Transport::RawBuffer => &[][..],
            Transport::Tls(tls) => &tls.common.alpn,
        })
}

fn encode_tail(cluster: &Cluster) -> sorted::ClusterTail {
    sorted::ClusterTail {
        metadata: sorted::Metadata::new([(ISTIO, service::encode(&cluster.services))]),
        load_assignment: discovery::encode_static(cluster),
        transport_socket_matches: cluster.transport_matches.iter().map(encode_match).collect(),
    }
}

fn encode_match(entry: &TransportMatch) -> sorted::TransportSocketMatch {
    let labels = entry.labels.iter();
    sorted::TransportSocketMatch {
        name: entry.name.clone(),
        r#match: Some(sorted::object(labels.map(|(k, v)| (k, sorted::text(v))))),
        transport_socket: Some(tls::encode_transport(&entry.transport)),
    }
}

fn decode_cluster(mut wire: wire::Cluster, at: &At<'_>) -> Option<Cluster> {
    let name = at.text("name", take(&mut wire.name));
    let discovery = discovery::decode(&mut wire, name.as_deref().unwrap_or_default(), at);
    let connect_timeout = at.optional(
        "connect_timeout",
        wire.connect_timeout.take(),
        decode::positive,
    );
    let lb_policy = policy::decode(&mut wire, at);
    let limits = at.optional(
        "circuit_breakers",
        wire.circuit_breakers.take(),
        balance::decode_limits,
    );
    let common = at.optional(
        "common_lb_config",
        wire.common_lb_config.take(),
        balance::decode_common,
    );
    let outlier_detection = at.optional(
        "outlier_detection",
        wire.outlier_detection.take(),
        outlier::decode,
    );
    let matches = take(&mut wire.transport_socket_matches);
    let transport_matches = at.list("transport_socket_matches", matches, decode_match);
    let transport = at.optional(
        "transport_socket",
        wire.transport_socket.take(),
        tls::decode_transport,
    );
    let options = take(&mut wire.typed_extension_protocol_options);
    let http = http::decode(options, &at.field("typed_extension_protocol_options"));
    let source = at.optional(
        "upstream_bind_config",
        wire.upstream_bind_config.take(),
        decode_source,
    );
    let filters = at.list(
        "filters",
        take(&mut wire.filters),
        decoration::expect_cluster_filter,
    );
    let metadata_at = at.field("metadata");
    let mut metadata = Metadata::open(wire.metadata.take(), &metadata_at);
    let services = metadata.take(ISTIO, &metadata_at, service::decode);
    metadata.finish(&metadata_at);
    at.finish(wire);
    let filters = filters?;
    let common = common?.unwrap_or_default();
    let (http_protocol, connections) = http?;
    let cluster = Cluster {
        name: name?.into(),
        discovery: discovery?,
        connect_timeout: connect_timeout?.unwrap_or(DEFAULT_CONNECT_TIMEOUT),
        lb_policy: lb_policy?,
        limits: limits?.unwrap_or(Limits::ENVOY),
        outlier_detection: outlier_detection?,
        healthy_panic_threshold: common.panic_threshold,
        locality_weighted: common.locality_weighted,
        transport_matches: transport_matches?,
        transport: transport?.unwrap_or_default(),
        http_protocol,
        idle_timeout: connections.idle,
        max_requests_per_connection: connections.requests,
        source_address: source?,
        services: services?,
    };
    if !filters.is_empty() && decoration::cluster_filters(offered(&cluster)).is_empty() {
        at.field("filters")
            .ignore("ALPN does not offer what they speak");
    }
    discovery::expect_policy(&cluster, at).map(|()| cluster)
}

fn decode_match(mut wire: TransportSocketMatch, at: &At<'_>) -> Option<TransportMatch> {
    let name = at.text("name", take(&mut wire.name));
    let labels = Fields::new(wire.r#match.take().unwrap_or_default()).texts(&at.field("match"));
    let socket = wire.transport_socket.take();
    let transport = at.required("transport_socket", socket, tls::decode_transport);
    at.finish(wire);
    Some(TransportMatch {
        name: name?,
        labels: labels?,
        transport: transport?,
    })
}

fn decode_source(mut wire: BindConfig, at: &At<'_>) -> Option<IpAddr> {
    let source = at.required(
        "source_address",
        wire.source_address.take(),
        address::source,
    );
    at.finish(wire);
    source
}

#[cfg(test)]
mod tests;
