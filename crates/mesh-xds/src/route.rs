//! Route tables ↔ Envoy `RouteConfiguration`.

mod action; // what a route does
mod hash; // what keeps requests together
mod header; // what is changed of headers
mod internal_redirect; // redirects that are followed here
mod matching; // which requests it takes
mod mirror; // copies of requests
mod redirect; // where else a client is to ask
mod retry; // when it tries again
mod rewrite; // which path and host a server is asked for

pub(crate) use matching::{decode as decode_match, encode as encode_match};

use crate::{
    decode::{self, At, Fields, Wrapped},
    http::overrides,
    metadata::{ISTIO, Metadata},
    pb::{
        envoy::config::route::v3::{self as wire, Decorator},
        google::protobuf::{BoolValue, UInt32Value},
    },
    resource::{Decoded, Invalid, Resource, ResourceType},
    sorted::{self, With},
};
use bytes::Bytes;
use mesh_model::route::{
    PathMatch, PathRedirect, PathRewrite, Route, RouteAction, RouteConfiguration, VirtualHost,
};
use prost::Message;
use std::{collections::HashMap, mem::take};

/// Longest body of a direct response where nothing is set, in bytes.
const MAX_DIRECT_RESPONSE_BODY: u32 = 4096;

impl Resource for RouteConfiguration {
    const KIND: ResourceType = ResourceType::Route;

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn encode(&self) -> Bytes {
        encode_table(self).encode_to_vec().into()
    }

    fn decode(bytes: &[u8]) -> Result<Decoded<Self>, Invalid> {
        decode::decode(bytes, decode_named)
    }
}

pub(crate) fn encode_table(table: &RouteConfiguration) -> sorted::RouteConfiguration {
    let headers = header::encode(&table.headers);
    let head = wire::RouteConfiguration {
        request_headers_to_add: headers.request_headers_to_add,
        request_headers_to_remove: headers.request_headers_to_remove,
        response_headers_to_add: headers.response_headers_to_add,
        response_headers_to_remove: headers.response_headers_to_remove,
        name: table.name.to_string(),
        ignore_port_in_host_matching: table.ignore_port_in_host_matching,
        max_direct_response_body_size_bytes: table
            .max_direct_response_body_bytes
            .map(UInt32Value::wrap),
        // Routes and clusters arrive in any order.
        validate_clusters: Some(BoolValue::wrap(false)),
        ..Default::default()
    };
    let tail = sorted::RouteConfigurationTail {
        virtual_hosts: table.virtual_hosts.iter().map(encode_host).collect(),
        typed_per_filter_config: overrides::encode(&table.overrides),
    };
    With(head, tail)
}

fn encode_host(host: &VirtualHost) -> With<wire::VirtualHost, sorted::VirtualHostTail> {
    let headers = header::encode(&host.headers);
    let head = wire::VirtualHost {
        request_headers_to_add: headers.request_headers_to_add,
        request_headers_to_remove: headers.request_headers_to_remove,
        response_headers_to_add: headers.response_headers_to_add,
        response_headers_to_remove: headers.response_headers_to_remove,
        name: host.name.clone(),
        domains: host.domains.clone(),
        include_request_attempt_count: host.include_request_attempt_count,
        include_attempt_count_in_response: host.include_attempt_count_in_response,
        include_is_timeout_retry_header: host.include_is_timeout_retry,
        retry_policy: host.retry.as_ref().map(retry::encode),
        ..Default::default()
    };
    let tail = sorted::VirtualHostTail {
        routes: host.routes.iter().map(encode_route).collect(),
        typed_per_filter_config: overrides::encode(&host.overrides),
    };
    With(head, tail)
}

fn encode_route(route: &Route) -> With<wire::Route, sorted::RouteTail> {
    let headers = header::encode(&route.headers);
    let head = wire::Route {
        request_headers_to_add: headers.request_headers_to_add,
        request_headers_to_remove: headers.request_headers_to_remove,
        response_headers_to_add: headers.response_headers_to_add,
        response_headers_to_remove: headers.response_headers_to_remove,
        name: route.name.clone(),
        r#match: Some(matching::encode(&route.matches)),
        action: Some(action::encode(&route.action)),
        decorator: route.operation.as_ref().map(|operation| Decorator {
            operation: operation.clone(),
            propagate: None,
        }),
        ..Default::default()
    };
    let config = (route.config.iter()).map(|object| ("config", sorted::text(object)));
    let tail = sorted::RouteTail {
        metadata: sorted::Metadata::new([(ISTIO, sorted::object(config))]),
        typed_per_filter_config: overrides::encode(&route.overrides),
    };
    With(head, tail)
}

fn decode_named(wire: wire::RouteConfiguration, at: &At<'_>) -> Option<RouteConfiguration> {
    let table = decode_table(wire, at)?;
    match table.name.as_str() {
        "" => at.field("name").refuse("must be set"),
        _ => Some(table),
    }
}

/// A table, which has a name only if it is a resource of its own.
pub(crate) fn decode_table(
    mut wire: wire::RouteConfiguration,
    at: &At<'_>,
) -> Option<RouteConfiguration> {
    let name = take(&mut wire.name);
    let ignore_port = take(&mut wire.ignore_port_in_host_matching);
    let limit = wire.max_direct_response_body_size_bytes.take();
    let limit = limit.map(Wrapped::inner);
    let virtual_hosts = at.list("virtual_hosts", take(&mut wire.virtual_hosts), decode_host);
    let headers = header::decode(header::take_headers!(wire), at);
    let overrides = overrides::decode(take(&mut wire.typed_per_filter_config), at);
    wire.validate_clusters = wire.validate_clusters.filter(|validate| validate.value);
    at.finish(wire);
    let table = RouteConfiguration {
        name: name.into(),
        virtual_hosts: virtual_hosts?,
        ignore_port_in_host_matching: ignore_port,
        max_direct_response_body_bytes: limit,
        overrides: overrides?,
        headers: headers?,
    };
    let (domains, bodies) = (expect_distinct(&table, at), expect_short_bodies(&table, at));
    domains.and(bodies).map(|()| table)
}

/// No two hosts may claim the same domain; letters count in either case.
fn expect_distinct(table: &RouteConfiguration, at: &At<'_>) -> Option<()> {
    let mut owners = HashMap::new();
    for host in &table.virtual_hosts {
        for domain in &host.domains {
            if let Some(owner) = owners.insert(domain.to_ascii_lowercase(), &host.name) {
                return at.field("virtual_hosts").refuse(format!(
                    "{domain:?} is a domain of both {owner:?} and {:?}",
                    host.name
                ));
            }
        }
    }
    Some(())
}

fn expect_short_bodies(table: &RouteConfiguration, at: &At<'_>) -> Option<()> {
    let limit = table.max_direct_response_body_bytes;
    let limit = limit.unwrap_or(MAX_DIRECT_RESPONSE_BODY);
    let routes = table.virtual_hosts.iter().flat_map(|host| &host.routes);
    let too_long = |route: &&Route| match &route.action {
        RouteAction::DirectResponse(response) => response.body.len() as u64 > u64::from(limit),
        RouteAction::Forward(_) | RouteAction::Redirect(_) => false,
    };
    match routes.filter(too_long).count() {
        0 => Some(()),
        some => at
            .field("max_direct_response_body_size_bytes")
            .refuse(format!(
                "{some} direct responses are longer than {limit} bytes"
            )),
    }
}

fn decode_host(mut wire: wire::VirtualHost, at: &At<'_>) -> Option<VirtualHost> {
    let name = at.text("name", take(&mut wire.name));
    let domains = at.list("domains", take(&mut wire.domains), decode_domain);
    let routes = at.list("routes", take(&mut wire.routes), decode_route);
    let count_attempts = take(&mut wire.include_request_attempt_count);
    let tell_attempts = take(&mut wire.include_attempt_count_in_response);
    let tell_timeouts = take(&mut wire.include_is_timeout_retry_header);
    let retry = at.optional("retry_policy", wire.retry_policy.take(), retry::decode);
    let headers = header::decode(header::take_headers!(wire), at);
    let overrides = overrides::decode(take(&mut wire.typed_per_filter_config), at);
    at.finish(wire);
    let domains = domains?;
    if domains.is_empty() {
        return at.field("domains").refuse("must be set");
    }
    Some(VirtualHost {
        name: name?,
        domains,
        routes: routes?,
        include_request_attempt_count: count_attempts,
        include_attempt_count_in_response: tell_attempts,
        include_is_timeout_retry: tell_timeouts,
        retry: retry?,
        overrides: overrides?,
        headers: headers?,
    })
}

fn decode_domain(wire: String, at: &At<'_>) -> Option<String> {
    match wire.is_empty() {
        true => at.refuse("is empty"),
        false => at.header_value(wire),
    }
}

fn decode_route(mut wire: wire::Route, at: &At<'_>) -> Option<Route> {
    let name = take(&mut wire.name);
    let matches = at.required("match", wire.r#match.take(), matching::decode);
    let action = action::decode(wire.action.take(), at);
    let operation = at.optional("decorator", wire.decorator.take(), decode_decorator);
    let metadata_at = at.field("metadata");
    let mut metadata = Metadata::open(wire.metadata.take(), &metadata_at);
    let config = metadata.take(ISTIO, &metadata_at, decode_config);
    metadata.finish(&metadata_at);
    let headers = header::decode(header::take_headers!(wire), at);
    let overrides = overrides::decode(take(&mut wire.typed_per_filter_config), at);
    at.finish(wire);
    let (matches, action) = (matches?, action?);
    expect_variables(&matches.path, &action, at)?;
    Some(Route {
        name,
        matches,
        action,
        operation: operation?,
        config: config?,
        overrides: overrides?,
        headers: headers?,
    })
}

/// Variables that a path is made of are those of the route's template, and such a one has no prefix.
fn expect_variables(path: &PathMatch, action: &RouteAction, at: &At<'_>) -> Option<()> {
    let forward = match action {
        RouteAction::Forward(forward) => forward,
        RouteAction::Redirect(redirect)
            if matches!(redirect.path, Some(PathRedirect::Prefix(_)))
                && matches!(path, PathMatch::Template(_)) =>
        {
            return (at.field("redirect").field("prefix_rewrite"))
                .refuse("a template has no prefix");
        }
        _ => return Some(()),
    };
    match (&forward.rewrite.path, path) {
        (Some(PathRewrite::Template(rewrite)), PathMatch::Template(template))
            if template.has_all_of(rewrite) =>
        {
            Some(())
        }
        (Some(PathRewrite::Template(_)), _) => (at.field("route").field("path_rewrite_policy"))
            .refuse("names variables that the route does not match by a template"),
        (Some(PathRewrite::Prefix(_)), PathMatch::Template(_)) => {
            (at.field("route").field("prefix_rewrite")).refuse("a template has no prefix")
        }
        _ => Some(()),
    }
}

fn decode_decorator(mut wire: Decorator, at: &At<'_>) -> Option<String> {
    let operation = at.text("operation", take(&mut wire.operation));
    at.finish(wire);
    operation
}

fn decode_config(mut fields: Fields, at: &At<'_>) -> Option<Option<String>> {
    let object = fields.text("config", at);
    fields.finish("istio metadata of a route", at);
    object.map(|object| (!object.is_empty()).then_some(object))
}

#[cfg(test)]
mod tests;
