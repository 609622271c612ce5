//! Route configurations.
//!
//! `80` is shared by all HTTP services of that port and goes by host name; `nginx.test.svc.cluster.local:80` belongs to
//! one address of a service of unknown protocol and sends everything there.

use super::{cluster::outbound_name, domains};
use crate::snapshot::{Service, ServicePort, Traffic, World};
use mesh_api::mesh_config::OutboundTrafficMode;
use mesh_model::{
    ClusterName, RouteName,
    name::PASSTHROUGH_CLUSTER,
    route::{
        DirectResponse, Forward, MaxStreamDuration, PathMatch, RetryOn, RetryPolicy, Route,
        RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
    },
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// Largest body that a route may answer with by itself.
const MAX_DIRECT_RESPONSE: u32 = 1 << 20;

/// The route configuration of that name; `None` if there is none. `namespace` is that whose services are known by their
/// short names.
pub(super) fn configuration(
    world: &World,
    name: &RouteName,
    namespace: Option<&str>,
) -> Option<RouteConfiguration> {
    let virtual_hosts = match shared_port(name) {
        Some(port) => shared(world, port, namespace),
        None => vec![of_one_service(world, name)?],
    };
    Some(RouteConfiguration {
        ignore_port_in_host_matching: true,
        max_direct_response_body_bytes: Some(MAX_DIRECT_RESPONSE),
        ..RouteConfiguration::new(name.clone(), virtual_hosts)
    })
}

/// Whether `name` knows services of `namespace` by their short names.
pub(super) fn knows_short_names(world: &World, name: &RouteName, namespace: &str) -> bool {
    let services = shared_port(name).map_or(&[][..], |port| world.services().on_port(port));
    let aliases = services
        .iter()
        .flat_map(|s| world.services().aliases(&s.host));
    services
        .iter()
        .chain(aliases)
        .any(|s| *s.namespace == *namespace)
}

/// The route of requests that have reached the pod.
pub(super) fn inbound(
    name: &str,
    port: u16,
    cluster: ClusterName,
    operation: String,
) -> Arc<RouteConfiguration> {
    let no_limit = MaxStreamDuration {
        max: Some(Duration::ZERO),
        grpc_timeout_header_max: Some(Duration::ZERO),
        grpc_timeout_header_offset: None,
    };
    let forward = Forward {
        timeout: Some(Duration::ZERO),
        max_stream_duration: Some(no_limit),
        ..Forward::to(cluster)
    };
    let route = everything("default", RouteAction::Forward(forward), Some(operation));
    let host = VirtualHost::new(
        format!("inbound|http|{port}"),
        vec!["*".into()],
        vec![route],
    );
    Arc::new(RouteConfiguration::new(name.into(), vec![host]))
}

fn shared_port(name: &RouteName) -> Option<u16> {
    name.as_str().parse().ok()
}

/// By name, the one for all other hosts last. A host name that two services claim belongs to the older: Envoy refuses a
/// configuration that names one twice.
fn shared(world: &World, number: u16, namespace: Option<&str>) -> Vec<VirtualHost> {
    let mut claimed = HashSet::new();
    let mut hosts = Vec::new();
    for service in world.services().on_port(number) {
        let Some(port) = service
            .port(number)
            .filter(|p| p.protocol.traffic() != Traffic::Tcp)
        else {
            continue;
        };
        let mut domains = domains::of(world, service, namespace);
        domains.retain(|domain| claimed.insert(domain.clone()));
        if !domains.is_empty() {
            hosts.push(virtual_host(service, port, domains));
        }
    }
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    hosts.push(all_others(world));
    hosts
}

fn of_one_service(world: &World, name: &RouteName) -> Option<VirtualHost> {
    let (host, number) = name.as_str().rsplit_once(':')?;
    let service = world.services().get(host).filter(|s| !s.is_alias())?;
    let port = service.port(number.parse().ok()?)?;
    Some(virtual_host(service, port, vec!["*".into()]))
}

fn virtual_host(service: &Service, port: &ServicePort, domains: Vec<String>) -> VirtualHost {
    let name = format!("{}:{}", service.host, port.number);
    let forward = Forward {
        retry: Some(default_retry()),
        ..without_limits(outbound_name(service, port))
    };
    let operation = format!("{name}/*");
    let route = everything("default", RouteAction::Forward(forward), Some(operation));
    VirtualHost {
        include_request_attempt_count: true,
        ..VirtualHost::new(name, domains, vec![route])
    }
}

fn all_others(world: &World) -> VirtualHost {
    let (name, action) = match world.mesh().outbound_traffic_policy.mode {
        OutboundTrafficMode::AllowAny => (
            "allow_any",
            RouteAction::Forward(without_limits(PASSTHROUGH_CLUSTER.into())),
        ),
        OutboundTrafficMode::RegistryOnly => (
            "block_all",
            RouteAction::DirectResponse(DirectResponse::new(502)),
        ),
    };
    let route = everything(name, action, None);
    VirtualHost {
        include_request_attempt_count: true,
        ..VirtualHost::new(name, vec!["*".into()], vec![route])
    }
}

fn everything(name: &str, action: RouteAction, operation: Option<String>) -> Route {
    let all = RouteMatch::new(PathMatch::Prefix("/".into()));
    Route {
        name: name.into(),
        operation,
        ..Route::new(all, action)
    }
}

fn without_limits(cluster: ClusterName) -> Forward {
    Forward {
        timeout: Some(Duration::ZERO),
        max_grpc_timeout: Some(Duration::ZERO),
        ..Forward::to(cluster)
    }
}

/// Istio's default: twice, on another host where there is one, when the request was most likely not handled.
fn default_retry() -> RetryPolicy {
    RetryPolicy {
        retry_on: vec![
            RetryOn::ConnectFailure,
            RetryOn::RefusedStream,
            RetryOn::Unavailable,
            RetryOn::Cancelled,
            RetryOn::RetriableStatusCodes,
        ],
        num_retries: 2,
        retriable_status_codes: vec![503],
        avoid_previous_hosts: true,
        host_selection_attempts: 5,
        ..Default::default()
    }
}
