//! Pages about the world.

use super::{Pages, Refused, VisitorOf, json};
use crate::snapshot::{Resolution, Service, ServiceEndpoint, TargetPort, World};
use axum::{extract::State, response::Response};
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

/// Services.
pub(super) async fn registryz(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    let published = pages.published()?;
    let services: Vec<Value> = published
        .world
        .services()
        .iter()
        .map(|s| service(s))
        .collect();
    json(&services)
}

/// Endpoints of each service, ready or not.
pub(super) async fn endpointz(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    let published = pages.published()?;
    let world = &published.world;
    let of_service = |s: &Arc<Service>| {
        let endpoints = world.endpoints(&s.host).iter();
        let endpoints: Vec<Value> = endpoints.map(|e| endpoint(world, e)).collect();
        (s.host.to_string(), Value::Array(endpoints))
    };
    let all: Map<String, Value> = world.services().iter().map(of_service).collect();
    json(&all)
}

/// Settings of the mesh, and what of the source is not understood.
pub(super) async fn configz(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    let published = pages.published()?;
    let problems = pages.all_problems();
    json(
        &value!({"version": &*published.version, "meshConfig": published.world.mesh(), "problems": &*problems}),
    )
}

/// Settings of the mesh.
pub(super) async fn mesh(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    json(pages.published()?.world.mesh())
}

fn service(service: &Service) -> Value {
    let (resolution, target) = match &service.resolution {
        Resolution::Addresses(_) => ("ClientSideLB", None),
        Resolution::Headless => ("Passthrough", None),
        Resolution::Alias(target) => ("Alias", Some(target)),
    };
    let ports = service.ports.iter().map(|port| {
        let target = match &port.target {
            TargetPort::Number(number) => value!(number),
            TargetPort::Named(name) => value!(name),
        };
        value!({"name": port.name, "port": port.number, "targetPort": target, "protocol": format!("{:?}", port.protocol)})
    });
    value!({
        "hostname": &*service.host,
        "name": &*service.name,
        "namespace": &*service.namespace,
        "resolution": resolution,
        "aliasOf": target.map(|t| &**t),
        "addresses": service.addresses(),
        "externalIPs": service.external,
        "ports": ports.collect::<Vec<_>>(),
        "selector": service.selector,
    })
}

fn endpoint(world: &World, endpoint: &ServiceEndpoint) -> Value {
    let mut numbers = endpoint.ports.iter().map(|(_, port)| *port);
    let ports: Map<String, Value> = endpoint
        .ports
        .iter()
        .map(|(name, port)| (name.clone(), value!(port)))
        .collect();
    let workload = endpoint.workload.as_deref();
    value!({
        "address": endpoint.address,
        "ports": ports,
        "ready": endpoint.ready,
        "terminating": endpoint.terminating,
        "node": endpoint.node.as_deref(),
        "pod": workload.map(|w| format!("{}.{}", w.name, w.namespace)),
        "serviceAccount": workload.map(|w| &*w.service_account),
        "acceptsMutualTls": numbers.any(|port| endpoint.accepts_mtls(world, port)),
    })
}
