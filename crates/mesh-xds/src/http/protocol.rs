//! What is spoken with clients: codecs, upgrades, how long a connection may be idle.

use crate::{
    decode::{self, At, Extension, Wrapped, wire_duration},
    pb::{
        envoy::{
            config::core::v3::{
                Http1ProtocolOptions, HttpProtocolOptions, TypedExtensionConfig,
                http1_protocol_options::{HeaderKeyFormat, header_key_format::HeaderFormat},
            },
            extensions::{
                filters::network::http_connection_manager::v3::{
                    HttpConnectionManager as Wire,
                    http_connection_manager::{CodecType, UpgradeConfig},
                },
                http::header_formatters::preserve_case::v3::PreserveCaseFormatterConfig,
            },
        },
        pack_any,
    },
};
use mesh_model::http::HttpConnectionManager;
use std::{mem::take, time::Duration};

pub(super) fn encode_common(idle: Option<Duration>) -> Option<HttpProtocolOptions> {
    idle.map(|idle| HttpProtocolOptions {
        idle_timeout: Some(wire_duration(idle)),
        ..Default::default()
    })
}

pub(super) fn encode_http1(manager: &HttpConnectionManager) -> Option<Http1ProtocolOptions> {
    let options = Http1ProtocolOptions {
        accept_http_10: manager.accept_http_10,
        header_key_format: manager.preserve_header_case.then(preserve_case),
        ..Default::default()
    };
    (options != Http1ProtocolOptions::default()).then_some(options)
}

fn preserve_case() -> HeaderKeyFormat {
    HeaderKeyFormat {
        header_format: Some(HeaderFormat::StatefulFormatter(TypedExtensionConfig {
            name: "preserve_case".into(),
            typed_config: Some(pack_any(PreserveCaseFormatterConfig::default())),
        })),
    }
}

pub(super) fn encode_upgrades(upgrades: &[String]) -> Vec<UpgradeConfig> {
    let config = |upgrade: &String| UpgradeConfig {
        upgrade_type: upgrade.clone(),
        ..Default::default()
    };
    upgrades.iter().map(config).collect()
}

/// The part of a connection manager that is said here.
pub(super) struct Protocols {
    pub(super) idle_timeout: Option<Duration>,
    pub(super) accept_http_10: bool,
    pub(super) preserve_header_case: bool,
    pub(super) upgrades: Vec<String>,
}

/// Takes its fields out of `wire`.
pub(super) fn decode(wire: &mut Wire, at: &At<'_>) -> Option<Protocols> {
    let codec = decode_codec(take(&mut wire.codec_type), &at.field("codec_type"));
    let common = wire.common_http_protocol_options.take();
    let idle = at.optional("common_http_protocol_options", common, decode_common);
    let http1 = wire.http_protocol_options.take();
    let http1 = at.optional("http_protocol_options", http1, decode_http1);
    if let Some(http2) = wire.http2_protocol_options.take() {
        at.field("http2_protocol_options").finish(http2);
    }
    let upgrades = take(&mut wire.upgrade_configs);
    let upgrades = at.list("upgrade_configs", upgrades, decode_upgrade);
    codec?;
    let (accept_http_10, preserve_header_case) = http1?.unwrap_or_default();
    Some(Protocols {
        idle_timeout: idle?.flatten(),
        accept_http_10,
        preserve_header_case,
        upgrades: upgrades?,
    })
}

fn decode_codec(wire: i32, at: &At<'_>) -> Option<()> {
    match decode::variant(wire, at)? {
        CodecType::Auto => Some(()),
        other => at.refuse(format!("{} alone is not served", other.as_str_name())),
    }
}

fn decode_common(mut wire: HttpProtocolOptions, at: &At<'_>) -> Option<Option<Duration>> {
    let idle = at.optional("idle_timeout", wire.idle_timeout.take(), decode::duration);
    at.finish(wire);
    idle
}

/// Whether HTTP/1.0 is taken, and whether the case of header names is kept.
fn decode_http1(mut wire: Http1ProtocolOptions, at: &At<'_>) -> Option<(bool, bool)> {
    let accept_http_10 = take(&mut wire.accept_http_10);
    let format = wire.header_key_format.take();
    let format = at.optional("header_key_format", format, decode_format);
    at.finish(wire);
    Some((accept_http_10, format?.is_some()))
}

fn decode_format(wire: HeaderKeyFormat, at: &At<'_>) -> Option<()> {
    let Some(HeaderFormat::StatefulFormatter(formatter)) = wire.header_format else {
        return at.refuse("is no format that this proxy writes");
    };
    let at = at.field("stateful_formatter");
    let config = at.required("typed_config", formatter.typed_config, Extension::open)?;
    let at = at.field("typed_config");
    at.finish(config.message::<PreserveCaseFormatterConfig>(&at)?);
    Some(())
}

fn decode_upgrade(mut wire: UpgradeConfig, at: &At<'_>) -> Option<String> {
    let upgrade = at.text("upgrade_type", take(&mut wire.upgrade_type));
    let enabled = wire.enabled.take().is_none_or(Wrapped::inner);
    at.finish(wire);
    let upgrade = upgrade?.to_ascii_lowercase();
    match (enabled, upgrade.as_str()) {
        (false, _) => at.field("enabled").refuse("routes cannot turn it on"),
        (true, "connect" | "connect-udp") => at
            .field("upgrade_type")
            .refuse("tunnels by CONNECT are not made"),
        (true, _) => Some(upgrade),
    }
}
