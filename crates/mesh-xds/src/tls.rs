//! TLS contexts ↔ Envoy `UpstreamTlsContext` and `DownstreamTlsContext`, with the transport sockets that hold them.
//!
//! All of this is security: no field may ever be ignored here.

mod validation; // how a peer's certificate is checked

use crate::{
    decode::{self, At, Extension, Wrapped},
    decoration,
    pb::{
        envoy::{
            config::core::v3::{TransportSocket, transport_socket::ConfigType},
            extensions::transport_sockets::{
                raw_buffer::v3::RawBuffer,
                tls::v3::{
                    self as wire, CommonTlsContext, SdsSecretConfig, TlsParameters,
                    tls_parameters::TlsProtocol,
                },
            },
        },
        google::protobuf::{Any, BoolValue},
        pack_any,
    },
};
use mesh_model::{
    SecretName,
    cluster::Transport,
    tls::{CommonTls, DownstreamTls, TlsVersion, UpstreamTls},
};
use prost::Name;
use std::mem::take;

/// Cipher suites of TLS 1.2 that may be asked for. Those without forward secrecy are on Istio's list and never used.
const CIPHER_SUITES: [&str; 8] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
];

pub(crate) fn encode_transport(transport: &Transport) -> TransportSocket {
    match transport {
        Transport::RawBuffer => socket("raw_buffer", pack_any(RawBuffer {})),
        Transport::Tls(tls) => socket("tls", pack_any(encode_upstream(tls))),
    }
}

pub(crate) fn encode_downstream(tls: &DownstreamTls) -> TransportSocket {
    let context = wire::DownstreamTlsContext {
        common_tls_context: Some(encode_common(&tls.common)),
        require_client_certificate: Some(BoolValue::wrap(tls.require_client_certificate)),
        ..Default::default()
    };
    socket("tls", pack_any(context))
}

fn socket(kind: &str, config: Any) -> TransportSocket {
    TransportSocket {
        name: format!("envoy.transport_sockets.{kind}"),
        config_type: Some(ConfigType::TypedConfig(config)),
    }
}

fn encode_upstream(tls: &UpstreamTls) -> wire::UpstreamTlsContext {
    wire::UpstreamTlsContext {
        common_tls_context: Some(encode_common(&tls.common)),
        sni: tls.sni.clone(),
        ..Default::default()
    }
}

fn encode_common(tls: &CommonTls) -> CommonTlsContext {
    CommonTlsContext {
        tls_params: Some(TlsParameters {
            tls_minimum_protocol_version: encode_version(tls.min_version).into(),
            tls_maximum_protocol_version: encode_version(tls.max_version).into(),
            cipher_suites: tls.cipher_suites.clone(),
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: tls.certificate.iter().map(encode_secret).collect(),
        validation_context_type: tls.validation.as_ref().map(validation::encode),
        alpn_protocols: tls.alpn.clone(),
        ..Default::default()
    }
}

fn encode_version(version: TlsVersion) -> TlsProtocol {
    match version {
        TlsVersion::V1_2 => TlsProtocol::TlSv12,
        TlsVersion::V1_3 => TlsProtocol::TlSv13,
    }
}

fn encode_secret(name: &SecretName) -> SdsSecretConfig {
    SdsSecretConfig {
        name: name.to_string(),
        sds_config: Some(decoration::sds_source()),
    }
}

/// How to connect to an endpoint.
pub(crate) fn decode_transport(wire: TransportSocket, at: &At<'_>) -> Option<Transport> {
    let (config, at) = (open(wire, at)?, at.field("typed_config"));
    if config.type_name == RawBuffer::full_name() {
        return config
            .message::<RawBuffer>(&at)
            .map(|_| Transport::RawBuffer);
    }
    let tls = decode_upstream(config.message(&at)?, &at)?;
    Some(Transport::Tls(Box::new(tls)))
}

/// What a filter chain terminates: TLS, or nothing.
pub(crate) fn decode_downstream(
    wire: TransportSocket,
    at: &At<'_>,
) -> Option<Option<DownstreamTls>> {
    let (config, at) = (open(wire, at)?, at.field("typed_config"));
    if config.type_name == RawBuffer::full_name() {
        return config.message::<RawBuffer>(&at).map(|_| None);
    }
    decode_downstream_context(config.message(&at)?, &at).map(Some)
}

fn open(wire: TransportSocket, at: &At<'_>) -> Option<Extension> {
    let config = wire
        .config_type
        .map(|ConfigType::TypedConfig(config)| config);
    at.required("typed_config", config, Extension::open)
}

fn decode_upstream(mut wire: wire::UpstreamTlsContext, at: &At<'_>) -> Option<UpstreamTls> {
    let common = wire.common_tls_context.take().unwrap_or_default();
    let common = decode_common(common, TlsVersion::V1_2, &at.field("common_tls_context"));
    let sni = take(&mut wire.sni);
    at.finish(wire);
    Some(UpstreamTls {
        common: common?,
        sni,
    })
}

fn decode_downstream_context(
    mut wire: wire::DownstreamTlsContext,
    at: &At<'_>,
) -> Option<DownstreamTls> {
    let common_at = at.field("common_tls_context");
    let common = wire.common_tls_context.take().unwrap_or_default();
    let common = decode_common(common, TlsVersion::V1_3, &common_at);
    let require = wire.require_client_certificate.take();
    let require = require.map(Wrapped::inner).unwrap_or_default();
    at.finish(wire);
    let common = common?;
    if common.certificate.is_none() {
        return common_at.refuse("a server needs a certificate");
    }
    if require && common.validation.is_none() {
        return common_at
            .refuse("clients must show a certificate, but nothing says how it is checked");
    }
    Some(DownstreamTls {
        common,
        require_client_certificate: require,
    })
}

/// `newest` is the highest version where the message leaves it open.
fn decode_common(mut wire: CommonTlsContext, newest: TlsVersion, at: &At<'_>) -> Option<CommonTls> {
    let params = wire.tls_params.take().unwrap_or_default();
    let params = decode_params(params, newest, &at.field("tls_params"));
    let secrets = take(&mut wire.tls_certificate_sds_secret_configs);
    let certificates = at.list("tls_certificate_sds_secret_configs", secrets, decode_secret);
    let validation = match wire.validation_context_type.take() {
        None => Some(None),
        Some(wire) => validation::decode(wire, at).map(Some),
    };
    let alpn = at.list(
        "alpn_protocols",
        take(&mut wire.alpn_protocols),
        decode_protocol,
    );
    at.finish(wire);
    let (min_version, max_version, cipher_suites) = params?;
    let mut certificates = certificates?.into_iter();
    let certificate = certificates.next();
    if certificates.next().is_some() {
        return at
            .field("tls_certificate_sds_secret_configs")
            .refuse("there is one certificate at most");
    }
    Some(CommonTls {
        min_version,
        max_version,
        cipher_suites,
        certificate,
        validation: validation?,
        alpn: alpn?,
    })
}

fn decode_params(
    mut wire: TlsParameters,
    newest: TlsVersion,
    at: &At<'_>,
) -> Option<(TlsVersion, TlsVersion, Vec<String>)> {
    let version = |number: i32, name, default| {
        let at = at.field(name);
        match decode::variant(number, &at)? {
            TlsProtocol::TlsAuto => Some(default),
            TlsProtocol::TlSv12 => Some(TlsVersion::V1_2),
            TlsProtocol::TlSv13 => Some(TlsVersion::V1_3),
            old => at.refuse(format!("{} is not spoken", old.as_str_name())),
        }
    };
    let (min, max) = (
        take(&mut wire.tls_minimum_protocol_version),
        take(&mut wire.tls_maximum_protocol_version),
    );
    let min = version(min, "tls_minimum_protocol_version", TlsVersion::V1_2);
    let max = version(max, "tls_maximum_protocol_version", newest);
    let suites = at.list("cipher_suites", take(&mut wire.cipher_suites), decode_suite);
    at.finish(wire);
    match (min?, max?) {
        (min, max) if min > max => at.refuse("the lowest version is above the highest"),
        (min, max) => Some((min, max, suites?)),
    }
}

fn decode_suite(wire: String, at: &At<'_>) -> Option<String> {
    match CIPHER_SUITES.contains(&wire.as_str()) {
        true => Some(wire),
        false => at.refuse(format!("there is no cipher suite {wire:?} here")),
    }
}

fn decode_protocol(wire: String, at: &At<'_>) -> Option<String> {
    match wire.len() {
        1..=255 => Some(wire),
        _ => at.refuse("ALPN protocols have 1 to 255 bytes"),
    }
}

fn decode_secret(mut wire: SdsSecretConfig, at: &At<'_>) -> Option<SecretName> {
    let name = at.text("name", take(&mut wire.name));
    let source = at.required("sds_config", wire.sds_config.take(), decoration::expect_sds);
    source.and(name).map(Into::into)
}
