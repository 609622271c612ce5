//! Access logs ↔ Envoy `AccessLog` with `FileAccessLog`.

use crate::{
    decode::{At, Extension, Fields},
    pb::{
        envoy::{
            config::{
                accesslog::v3::{
                    self as wire, AccessLogFilter, ResponseFlagFilter, access_log::ConfigType,
                    access_log_filter::FilterSpecifier,
                },
                core::v3::{
                    DataSource, SubstitutionFormatString, substitution_format_string::Format,
                },
            },
            extensions::access_loggers::file::v3::{
                FileAccessLog, file_access_log::AccessLogFormat as WireFormat,
            },
        },
        google::protobuf::Any,
    },
    sorted, source,
};
use mesh_model::access_log::{AccessLog, AccessLogFormat};
use prost::{Message, Name};
use std::mem::take;

/// Response flag of a request or connection that no route or filter chain took.
const NO_ROUTE: &str = "NR";

pub(crate) fn encode(log: &AccessLog) -> wire::AccessLog {
    let no_route = || AccessLogFilter {
        filter_specifier: Some(FilterSpecifier::ResponseFlagFilter(ResponseFlagFilter {
            flags: vec![NO_ROUTE.into()],
        })),
    };
    wire::AccessLog {
        name: "envoy.access_loggers.file".into(),
        filter: log.only_no_route.then(no_route),
        config_type: Some(ConfigType::TypedConfig(Any {
            type_url: FileAccessLog::type_url(),
            value: encode_file(log).encode_to_vec(),
        })),
    }
}

fn encode_file(log: &AccessLog) -> sorted::FileAccessLog {
    let format = match &log.format {
        AccessLogFormat::Text(line) => sorted::FormatString {
            text_format_source: Some(source::encode_readable(line.as_bytes())),
            json_format: None,
        },
        AccessLogFormat::Json(keys) => {
            let keys = keys.iter().map(|(key, value)| (key, sorted::text(value)));
            sorted::FormatString {
                text_format_source: None,
                json_format: Some(sorted::object(keys)),
            }
        }
    };
    sorted::FileAccessLog {
        path: log.path.clone(),
        log_format: Some(format),
    }
}

pub(crate) fn decode(mut wire: wire::AccessLog, at: &At<'_>) -> Option<AccessLog> {
    let filter = at.optional("filter", wire.filter.take(), decode_filter);
    let config = wire
        .config_type
        .map(|ConfigType::TypedConfig(config)| config);
    let config = at.required("typed_config", config, Extension::open)?;
    let at = at.field("typed_config");
    let (path, format) = decode_file(config.message(&at)?, &at)?;
    Some(AccessLog {
        path,
        format,
        only_no_route: filter?.is_some(),
    })
}

fn decode_filter(wire: AccessLogFilter, at: &At<'_>) -> Option<()> {
    match wire.filter_specifier {
        Some(FilterSpecifier::ResponseFlagFilter(filter)) if filter.flags == [NO_ROUTE] => Some(()),
        _ => at.refuse(format!(
            "the only filter is that for the response flag {NO_ROUTE}"
        )),
    }
}

fn decode_file(mut wire: FileAccessLog, at: &At<'_>) -> Option<(String, AccessLogFormat)> {
    let path = at.text("path", take(&mut wire.path));
    let format = match wire.access_log_format.take() {
        Some(WireFormat::LogFormat(format)) => decode_format(format, &at.field("log_format")),
        Some(_) => at
            .field("access_log_format")
            .refuse("is deprecated: use log_format"),
        None => at.field("log_format").refuse("must be set"),
    };
    at.finish(wire);
    Some((path?, format?))
}

#[allow(deprecated)] // the plain `text_format` of older control planes means the same
fn decode_format(mut wire: SubstitutionFormatString, at: &At<'_>) -> Option<AccessLogFormat> {
    let format = match wire.format.take() {
        Some(Format::TextFormatSource(text)) => decode_text(text, &at.field("text_format_source")),
        Some(Format::TextFormat(text)) => Some(AccessLogFormat::Text(text)),
        Some(Format::JsonFormat(keys)) => {
            let keys = Fields::new(keys).texts(&at.field("json_format"));
            keys.map(AccessLogFormat::Json)
        }
        None => at.field("format").refuse("must be set"),
    };
    at.finish(wire);
    format
}

fn decode_text(wire: DataSource, at: &At<'_>) -> Option<AccessLogFormat> {
    match String::from_utf8(source::decode(wire, at)?) {
        Ok(text) => Some(AccessLogFormat::Text(text)),
        Err(_) => at.refuse("is no UTF-8"),
    }
}

#[cfg(test)]
mod tests;
