//! What one proxy is served, as Envoy's admin interface would print it.

use super::{Pages, ProxyOf, Refused, VisitorOf, json};
use crate::{push::Published, serve::connections::Connected, translate};
use axum::{extract::State, response::Response};
use http::StatusCode;
use mesh_xds::{
    ads::{ResourceType, SharedResource},
    json::{Pool, Style},
    pb::{
        envoy::admin::v3::{
            ClustersConfigDump, ConfigDump, EndpointsConfigDump, ListenersConfigDump,
            RoutesConfigDump,
            clusters_config_dump::DynamicCluster,
            endpoints_config_dump::DynamicEndpointConfig,
            listeners_config_dump::{DynamicListener, DynamicListenerState},
            routes_config_dump::DynamicRouteConfig,
        },
        google::protobuf::Any,
        istio::nds::NameTable,
        pack_any,
    },
    resource::Resource,
};
use prost::{Message, Name};
use serde_json::Value;
use std::sync::Arc;

/// All of it.
pub(super) async fn config_dump(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
    query: ProxyOf,
) -> Result<Response, Refused> {
    let (connected, published) = (pages.proxy(&query, &visitor)?, pages.published()?);
    let dump = tokio::task::spawn_blocking(move || {
        let kinds = [
            ResourceType::Cluster,
            ResourceType::Endpoint,
            ResourceType::Listener,
            ResourceType::Route,
        ];
        print(
            kinds
                .map(|kind| section(kind, &connected, &published))
                .into(),
        )
    });
    json(&dump.await.map_err(internal)??)
}

/// Its endpoints.
pub(super) async fn edsz(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
    query: ProxyOf,
) -> Result<Response, Refused> {
    let (connected, published) = (pages.proxy(&query, &visitor)?, pages.published()?);
    let dump = tokio::task::spawn_blocking(move || {
        print(vec![section(
            ResourceType::Endpoint,
            &connected,
            &published,
        )])
    });
    json(&dump.await.map_err(internal)??)
}

/// The names that its DNS server answers, as Istio prints the table.
pub(super) async fn ndsz(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
    query: ProxyOf,
) -> Result<Response, Refused> {
    let (connected, published) = (pages.proxy(&query, &visitor)?, pages.published()?);
    let table = tokio::task::spawn_blocking(move || {
        let table = translate::name_table(&published.world, &connected.client.proxy);
        let bytes = table.encode();
        Pool::load().print(&NameTable::full_name(), &bytes, Style::Envoy)
    });
    json(&table.await.map_err(internal)?.map_err(internal)?)
}

fn print(configs: Vec<Any>) -> Result<Value, Refused> {
    let dump = ConfigDump { configs };
    let json = Pool::load().print(
        &ConfigDump::full_name(),
        &dump.encode_to_vec(),
        Style::Envoy,
    );
    json.map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> Refused {
    Refused::Status(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn section(kind: ResourceType, connected: &Connected, published: &Published) -> Any {
    let names = connected.names(kind);
    let resources = published.resources(
        &connected.client.proxy,
        kind,
        names.iter().map(String::as_str),
    );
    let version_info = published.version.to_string();
    match kind {
        ResourceType::Cluster => pack_any(ClustersConfigDump {
            version_info,
            dynamic_active_clusters: resources.iter().map(cluster).collect(),
            ..Default::default()
        }),
        ResourceType::Listener => pack_any(ListenersConfigDump {
            version_info,
            dynamic_listeners: resources.iter().map(listener).collect(),
            ..Default::default()
        }),
        ResourceType::Route => pack_any(RoutesConfigDump {
            dynamic_route_configs: resources.iter().map(route).collect(),
            ..Default::default()
        }),
        _ => pack_any(EndpointsConfigDump {
            dynamic_endpoint_configs: resources.iter().map(endpoints).collect(),
            ..Default::default()
        }),
    }
}

fn cluster(resource: &SharedResource) -> DynamicCluster {
    DynamicCluster {
        version_info: resource.version().to_string(),
        cluster: any(resource),
        ..Default::default()
    }
}

fn listener(resource: &SharedResource) -> DynamicListener {
    DynamicListener {
        name: resource.name().into(),
        active_state: Some(DynamicListenerState {
            version_info: resource.version().to_string(),
            listener: any(resource),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn route(resource: &SharedResource) -> DynamicRouteConfig {
    DynamicRouteConfig {
        version_info: resource.version().to_string(),
        route_config: any(resource),
        ..Default::default()
    }
}

fn endpoints(resource: &SharedResource) -> DynamicEndpointConfig {
    DynamicEndpointConfig {
        version_info: resource.version().to_string(),
        endpoint_config: any(resource),
        ..Default::default()
    }
}

fn any(resource: &SharedResource) -> Option<Any> {
    // We have encoded it ourselves; were it broken, the page would show nothing in its place.
    Any::decode(resource.any()).ok()
}
