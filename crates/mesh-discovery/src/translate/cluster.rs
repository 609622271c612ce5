//! Clusters: one for each port of each service, one for each of the pod's own ports, and those without a service.

use super::{
    key::{Client, InboundPort, Server},
    tls::{self, Payload},
};
use crate::snapshot::{Service, ServicePort, Traffic, World};
use mesh_model::{
    ClusterName,
    cluster::{
        Cluster, Discovery, LbPolicy, Limits, ServiceRef, Transport, TransportMatch, UpstreamHttp,
    },
    endpoint::ClusterLoadAssignment,
    name::{
        BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER_V4, INBOUND_PASSTHROUGH_CLUSTER_V6,
        PASSTHROUGH_CLUSTER,
    },
    port::{INBOUND_SOURCE_V4, INBOUND_SOURCE_V6},
};
use std::{net::IpAddr, time::Duration};

/// Connections to a destination that the mesh does not know are not kept for long without requests.
const PASSTHROUGH_IDLE: Duration = Duration::from_secs(300);

/// Those of all services, then those that send nowhere and anywhere.
pub(super) fn outbound(world: &World, client: &Client) -> Vec<Cluster> {
    let mut clusters = Vec::new();
    for (service, port) in world.services().ports() {
        clusters.push(of_port(
            world,
            client,
            service,
            port,
            outbound_name(service, port),
            Payload::of(client, port.protocol),
        ));
        if splits(client, port) {
            clusters.push(of_port(
                world,
                client,
                service,
                port,
                bytes_name(service, port),
                Payload::Tcp,
            ));
        }
    }
    clusters.extend([black_hole(world), passthrough(world)]);
    clusters
}

/// Those of the pod's own ports, then that of all others.
pub(super) fn inbound(world: &World, server: &Server) -> Vec<Cluster> {
    let (first, other) = sources(&server.client);
    let own = server
        .ports
        .iter()
        .map(|port| inbound_port(world, port, first.1));
    let passthrough = [first]
        .into_iter()
        .chain(other)
        .map(|(name, source)| Cluster {
            source_address: Some(source),
            idle_timeout: Some(PASSTHROUGH_IDLE),
            http_protocol: UpstreamHttp::Downstream,
            ..original_dst(world, name.into())
        });
    own.chain(passthrough).collect()
}

/// The cluster for the requests of a port, and for its bytes unless they have their own.
pub(super) fn outbound_name(service: &Service, port: &ServicePort) -> ClusterName {
    ClusterName::outbound(port.number, "", &service.host)
}

/// The cluster for the bytes of a port.
pub(super) fn outbound_bytes_name(
    client: &Client,
    service: &Service,
    port: &ServicePort,
) -> ClusterName {
    if splits(client, port) {
        bytes_name(service, port)
    } else {
        outbound_name(service, port)
    }
}

/// How a service stands in a cluster's metadata.
pub(super) fn service_ref(service: &Service) -> ServiceRef {
    ServiceRef {
        host: service.host.to_string(),
        name: service.name.to_string(),
        namespace: service.namespace.to_string(),
    }
}

/// An inbound passthrough cluster, and the source of its connections.
type Source = (&'static str, IpAddr);

/// The inbound passthrough clusters of a pod by its IP versions.
pub(super) fn sources(client: &Client) -> (Source, Option<Source>) {
    let v4 = (INBOUND_PASSTHROUGH_CLUSTER_V4, INBOUND_SOURCE_V4.into());
    let v6 = (INBOUND_PASSTHROUGH_CLUSTER_V6, INBOUND_SOURCE_V6.into());
    client.families.choose(v4, v6)
}

/// A data plane that cannot choose per request what ALPN it offers needs two clusters for a port of unknown protocol, or
/// either its requests or its bytes would land on the wrong chain of the server. Both find endpoints under one name.
fn splits(client: &Client, port: &ServicePort) -> bool {
    port.protocol.traffic() == Traffic::Auto && !client.capabilities.alpn
}

/// No subset of a `DestinationRule` can have this name.
fn bytes_name(service: &Service, port: &ServicePort) -> ClusterName {
    ClusterName::outbound(port.number, "~tcp", &service.host)
}

fn of_port(
    world: &World,
    client: &Client,
    service: &Service,
    port: &ServicePort,
    name: ClusterName,
    payload: Payload,
) -> Cluster {
    let endpoints = world.endpoints(&service.host);
    let accounts = endpoints
        .service_accounts()
        .into_iter()
        .map(|(n, a)| (n.to_owned(), a.to_owned()));
    let base = outbound_name(service, port);
    let tls = || {
        Transport::Tls(Box::new(tls::upstream(
            world, client, &base, payload, accounts,
        )))
    };
    let common = Cluster {
        services: vec![service_ref(service)],
        http_protocol: port.protocol.upstream_http(),
        ..plain(
            world,
            name,
            Discovery::OriginalDst,
            LbPolicy::ClusterProvided,
        )
    };
    let auto_mtls = world.mesh().enable_auto_mtls && !world.is_mutual_tls_off(&service.namespace);
    if service.is_headless() {
        // The client has picked an endpoint whose metadata we do not see, so all or none speak TLS.
        let all_speak_tls = auto_mtls && endpoints.all_accept_mtls(world, port);
        return Cluster {
            transport: if all_speak_tls {
                tls()
            } else {
                Transport::RawBuffer
            },
            ..common
        };
    }
    Cluster {
        discovery: Discovery::Eds(base.clone()),
        lb_policy: LbPolicy::LeastRequest,
        locality_weighted: true,
        transport_matches: if auto_mtls {
            by_tls_mode(tls())
        } else {
            Vec::new()
        },
        ..common
    }
}

/// Endpoints that accept mutual TLS say so in their metadata.
fn by_tls_mode(tls: Transport) -> Vec<TransportMatch> {
    vec![
        TransportMatch {
            name: "tlsMode-istio".into(),
            labels: vec![("tlsMode".into(), "istio".into())],
            transport: tls,
        },
        TransportMatch {
            name: "tlsMode-disabled".into(),
            labels: Vec::new(),
            transport: Transport::RawBuffer,
        },
    ]
}

fn inbound_port(world: &World, port: &InboundPort, source: IpAddr) -> Cluster {
    Cluster {
        source_address: Some(source),
        services: vec![port.service.clone()],
        http_protocol: port.protocol.upstream_http(),
        ..original_dst(world, ClusterName::inbound(port.target))
    }
}

fn passthrough(world: &World) -> Cluster {
    Cluster {
        idle_timeout: Some(PASSTHROUGH_IDLE),
        http_protocol: UpstreamHttp::Downstream,
        ..original_dst(world, PASSTHROUGH_CLUSTER.into())
    }
}

fn black_hole(world: &World) -> Cluster {
    let nowhere = ClusterLoadAssignment::new(BLACK_HOLE_CLUSTER.into());
    Cluster {
        limits: Limits::ENVOY,
        ..plain(
            world,
            BLACK_HOLE_CLUSTER.into(),
            Discovery::Static(nowhere),
            LbPolicy::RoundRobin,
        )
    }
}

fn original_dst(world: &World, name: ClusterName) -> Cluster {
    plain(
        world,
        name,
        Discovery::OriginalDst,
        LbPolicy::ClusterProvided,
    )
}

fn plain(world: &World, name: ClusterName, discovery: Discovery, lb_policy: LbPolicy) -> Cluster {
    Cluster {
        connect_timeout: world.mesh().connect_timeout,
        lb_policy,
        limits: Limits::UNLIMITED,
        ..Cluster::new(name, discovery)
    }
}
