//! The HTTP version that is spoken upstream (Envoy `HttpProtocolOptions`).

use crate::{
    decode::{self, At, Extension, Wrapped, wire_duration},
    pb::{
        envoy::{
            config::core::v3::{self as core, Http1ProtocolOptions, Http2ProtocolOptions},
            extensions::upstreams::http::v3::{
                HttpProtocolOptions,
                http_protocol_options::{
                    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
                    explicit_http_config::ProtocolConfig,
                },
            },
        },
        google::protobuf::{Any, UInt32Value},
        pack_any,
    },
};
use mesh_model::cluster::UpstreamHttp;
use std::{collections::HashMap, num::NonZeroU32, time::Duration};

/// The only options that a cluster of ours has.
const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// How long connections live.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Connections {
    /// Longest idle time.
    pub(super) idle: Option<Duration>,
    /// Requests that one takes.
    pub(super) requests: Option<NonZeroU32>,
}

/// HTTP/1.1 without more to say is what a cluster speaks anyway.
pub(super) fn encode(http: UpstreamHttp, connections: Connections) -> HashMap<String, Any> {
    if http == UpstreamHttp::Http1 && connections == Connections::default() {
        return HashMap::new();
    }
    let common = core::HttpProtocolOptions {
        idle_timeout: connections.idle.map(wire_duration),
        max_requests_per_connection: connections.requests.map(|n| UInt32Value::wrap(n.get())),
        ..Default::default()
    };
    let options = HttpProtocolOptions {
        common_http_protocol_options: (connections != Connections::default()).then_some(common),
        upstream_protocol_options: Some(encode_version(http)),
        ..Default::default()
    };
    HashMap::from([(OPTIONS.to_owned(), pack_any(options))])
}

fn encode_version(http: UpstreamHttp) -> UpstreamProtocolOptions {
    let explicit = |config| {
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(config),
        })
    };
    match http {
        UpstreamHttp::Http1 => explicit(ProtocolConfig::HttpProtocolOptions(Default::default())),
        UpstreamHttp::Http2 => explicit(ProtocolConfig::Http2ProtocolOptions(Default::default())),
        UpstreamHttp::Downstream => {
            UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
                http_protocol_options: Some(Http1ProtocolOptions::default()),
                http2_protocol_options: Some(Http2ProtocolOptions::default()),
                http3_protocol_options: None,
            })
        }
    }
}

/// The version, and how long connections live.
pub(super) fn decode(
    mut wire: HashMap<String, Any>,
    at: &At<'_>,
) -> Option<(UpstreamHttp, Connections)> {
    let options = wire.remove(OPTIONS);
    let mut others: Vec<_> = wire.into_keys().collect();
    others.sort();
    for name in others {
        at.key(&name).refuse::<()>("this proxy does not execute it");
    }
    match options {
        None => Some((UpstreamHttp::Http1, Connections::default())),
        Some(any) => {
            let at = at.key(OPTIONS);
            decode_options(Extension::open(any, &at)?.message(&at)?, &at)
        }
    }
}

fn decode_options(
    mut wire: HttpProtocolOptions,
    at: &At<'_>,
) -> Option<(UpstreamHttp, Connections)> {
    let common = wire.common_http_protocol_options.take();
    let connections = at.optional("common_http_protocol_options", common, decode_common);
    let http = match wire.upstream_protocol_options.take() {
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(wire)) => {
            decode_explicit(wire, &at.field("explicit_http_config"))
        }
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(wire)) => {
            decode_downstream(wire, &at.field("use_downstream_protocol_config"))
        }
        Some(UpstreamProtocolOptions::AutoConfig(_)) => at
            .field("auto_config")
            .refuse("the version is not negotiated"),
        None => at.field("upstream_protocol_options").refuse("must be set"),
    };
    at.finish(wire);
    Some((http?, connections?.unwrap_or_default()))
}

fn decode_common(mut wire: core::HttpProtocolOptions, at: &At<'_>) -> Option<Connections> {
    let idle = at.optional("idle_timeout", wire.idle_timeout.take(), decode::duration);
    let requests = wire.max_requests_per_connection.take();
    at.finish(wire);
    Some(Connections {
        idle: idle?,
        requests: requests.and_then(|n| NonZeroU32::new(n.inner())),
    })
}

fn decode_explicit(wire: ExplicitHttpConfig, at: &At<'_>) -> Option<UpstreamHttp> {
    match wire.protocol_config {
        Some(ProtocolConfig::HttpProtocolOptions(options)) => {
            at.field("http_protocol_options").finish(options);
            Some(UpstreamHttp::Http1)
        }
        Some(ProtocolConfig::Http2ProtocolOptions(options)) => {
            at.field("http2_protocol_options").finish(options);
            Some(UpstreamHttp::Http2)
        }
        Some(ProtocolConfig::Http3ProtocolOptions(_)) => at
            .field("http3_protocol_options")
            .refuse("HTTP/3 is not spoken"),
        None => at.refuse("must name a version"),
    }
}

/// Options of a version change nothing but its details, so that those left out are the default ones.
fn decode_downstream(mut wire: UseDownstreamHttpConfig, at: &At<'_>) -> Option<UpstreamHttp> {
    if let Some(options) = wire.http_protocol_options.take() {
        at.field("http_protocol_options").finish(options);
    }
    if let Some(options) = wire.http2_protocol_options.take() {
        at.field("http2_protocol_options").finish(options);
    }
    at.finish(wire);
    Some(UpstreamHttp::Downstream)
}
