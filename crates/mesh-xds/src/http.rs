//! The HTTP connection manager ↔ Envoy `HttpConnectionManager`.

pub(crate) mod overrides; // what routes change of filters

mod client_cert; // what is done with `x-forwarded-client-cert`
mod cors; // which pages of other origins may ask
mod fault; // faults on purpose
mod filter; // HTTP filters
mod path; // what is done with odd paths
mod protocol; // codecs, upgrades, idle connections
mod tracing; // shares of requests to trace

use crate::{
    access_log,
    decode::{self, At, Extension, Wrapped, wire_duration},
    decoration,
    pb::{
        envoy::extensions::{
            filters::network::http_connection_manager::v3::{
                HttpConnectionManager as Wire, Rds, RequestIdExtension,
                http_connection_manager::{RouteSpecifier, ServerHeaderTransformation},
            },
            request_id::uuid::v3::UuidRequestIdConfig,
        },
        google::protobuf::{Any, BoolValue},
    },
    route,
    sorted::{self, With},
};
use mesh_model::{
    RouteName,
    http::{DEFAULT_SERVER_NAME, DEFAULT_STREAM_IDLE_TIMEOUT, HttpConnectionManager, RouteSource},
};
use prost::{Message, Name};
use std::{mem::take, sync::Arc};

pub(crate) fn encode(manager: &HttpConnectionManager) -> Any {
    let (head, tail) = (encode_head(manager), encode_tail(&manager.routes));
    Any {
        type_url: Wire::type_url(),
        value: With(head, tail).encode_to_vec(),
    }
}

fn encode_head(manager: &HttpConnectionManager) -> Wire {
    let (forward, details) = client_cert::encode(manager.forward_client_cert);
    Wire {
        stat_prefix: manager.stat_prefix.clone(),
        route_specifier: encode_discovery(&manager.routes),
        http_filters: manager.filters.iter().map(filter::encode).collect(),
        server_name: match manager.server_name.as_str() {
            DEFAULT_SERVER_NAME => String::new(),
            other => other.into(),
        },
        server_header_transformation: encode_server(manager.overwrite_server).into(),
        stream_idle_timeout: Some(wire_duration(manager.stream_idle_timeout)),
        common_http_protocol_options: protocol::encode_common(manager.idle_timeout),
        http_protocol_options: protocol::encode_http1(manager),
        use_remote_address: Some(BoolValue::wrap(manager.use_remote_address)),
        forward_client_cert_details: forward.into(),
        set_current_client_cert_details: details,
        upgrade_configs: protocol::encode_upgrades(&manager.upgrades),
        normalize_path: Some(BoolValue::wrap(manager.normalize_path)),
        merge_slashes: manager.merge_slashes,
        path_with_escaped_slashes_action: path::encode(manager.escaped_slashes).into(),
        generate_request_id: (!manager.generate_request_id).then(|| BoolValue::wrap(false)),
        tracing: manager.tracing.map(tracing::encode),
        access_log: manager.access_logs.iter().map(access_log::encode).collect(),
        ..Default::default()
    }
}

fn encode_discovery(routes: &RouteSource) -> Option<RouteSpecifier> {
    match routes {
        RouteSource::Rds(name) => Some(RouteSpecifier::Rds(Rds {
            config_source: Some(decoration::ads_source()),
            route_config_name: name.to_string(),
        })),
        RouteSource::Inline(_) => None,
    }
}

fn encode_tail(routes: &RouteSource) -> sorted::HttpConnectionManagerTail {
    let route_config = match routes {
        RouteSource::Rds(_) => None,
        RouteSource::Inline(table) => Some(route::encode_table(table)),
    };
    sorted::HttpConnectionManagerTail { route_config }
}

fn encode_server(overwrite: bool) -> ServerHeaderTransformation {
    match overwrite {
        true => ServerHeaderTransformation::Overwrite,
        false => ServerHeaderTransformation::PassThrough,
    }
}

pub(crate) fn decode(mut wire: Wire, at: &At<'_>) -> Option<HttpConnectionManager> {
    let stat_prefix = at.text("stat_prefix", take(&mut wire.stat_prefix));
    let routes = decode_routes(wire.route_specifier.take(), at);
    let filters = filter::decode_chain(take(&mut wire.http_filters), at);
    let server_name = at
        .field("server_name")
        .header_value(take(&mut wire.server_name));
    let overwrite_server = decode_server(take(&mut wire.server_header_transformation), at);
    let stream_idle = wire.stream_idle_timeout.take();
    let stream_idle = at.optional("stream_idle_timeout", stream_idle, decode::duration);
    let protocols = protocol::decode(&mut wire, at);
    let use_remote_address = wire.use_remote_address.take().is_some_and(Wrapped::inner);
    let forward_client_cert = client_cert::decode(&mut wire, at);
    let normalize_path = wire.normalize_path.take().is_some_and(Wrapped::inner);
    let merge_slashes = take(&mut wire.merge_slashes);
    let escaped = take(&mut wire.path_with_escaped_slashes_action);
    let escaped = path::decode(escaped, &at.field("path_with_escaped_slashes_action"));
    let generate_request_id = wire.generate_request_id.take().is_none_or(Wrapped::inner);
    let request_id = wire.request_id_extension.take();
    let request_id = at.optional("request_id_extension", request_id, expect_uuid);
    let tracing = at.optional("tracing", wire.tracing.take(), tracing::decode);
    let access_logs = at.list("access_log", take(&mut wire.access_log), access_log::decode);
    at.finish(wire);
    request_id?;
    let protocols = protocols?;
    Some(HttpConnectionManager {
        stat_prefix: stat_prefix?,
        routes: routes?,
        filters: filters?,
        server_name: Some(server_name?)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| DEFAULT_SERVER_NAME.into()),
        overwrite_server: overwrite_server?,
        stream_idle_timeout: stream_idle?.unwrap_or(DEFAULT_STREAM_IDLE_TIMEOUT),
        idle_timeout: protocols.idle_timeout,
        use_remote_address,
        forward_client_cert: forward_client_cert?,
        upgrades: protocols.upgrades,
        normalize_path,
        merge_slashes,
        escaped_slashes: escaped?,
        accept_http_10: protocols.accept_http_10,
        preserve_header_case: protocols.preserve_header_case,
        generate_request_id,
        tracing: tracing?,
        access_logs: access_logs?,
    })
}

fn decode_routes(wire: Option<RouteSpecifier>, at: &At<'_>) -> Option<RouteSource> {
    match wire {
        Some(RouteSpecifier::Rds(rds)) => decode_rds(rds, &at.field("rds")).map(RouteSource::Rds),
        Some(RouteSpecifier::RouteConfig(table)) => {
            let table = route::decode_table(table, &at.field("route_config"))?;
            Some(RouteSource::Inline(Arc::new(table)))
        }
        Some(RouteSpecifier::ScopedRoutes(_)) => at
            .field("scoped_routes")
            .refuse("this proxy does not execute it"),
        None => at.field("route_specifier").refuse("must be set"),
    }
}

fn decode_rds(mut wire: Rds, at: &At<'_>) -> Option<RouteName> {
    let name = at.text("route_config_name", take(&mut wire.route_config_name));
    let source = at.required(
        "config_source",
        wire.config_source.take(),
        decoration::expect_ads,
    );
    at.finish(wire);
    source.and(name).map(Into::into)
}

fn decode_server(wire: i32, at: &At<'_>) -> Option<bool> {
    let at = at.field("server_header_transformation");
    match decode::variant(wire, &at)? {
        ServerHeaderTransformation::Overwrite => Some(true),
        ServerHeaderTransformation::PassThrough => Some(false),
        ServerHeaderTransformation::AppendIfAbsent => at.refuse("this proxy does not execute it"),
    }
}

/// Request ids are UUIDs, as they are without being asked for; what else is said of them is about traces.
fn expect_uuid(wire: RequestIdExtension, at: &At<'_>) -> Option<()> {
    let config = at.required("typed_config", wire.typed_config, Extension::open)?;
    config.message::<UuidRequestIdConfig>(&at.field("typed_config"))?;
    at.ignore("request ids are UUIDs anyway, and no traces are sent yet");
    Some(())
}
