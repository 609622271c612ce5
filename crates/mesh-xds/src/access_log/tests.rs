use super::*;
use crate::{decode, json::Pool};
use serde_json::{Value as Json, json};

/// Decodes an access log written as JSON.
fn decoded(log: Json) -> Result<(AccessLog, usize), String> {
    let bytes = Pool::load()
        .read(&wire::AccessLog::full_name(), &log)
        .expect("an access log");
    match decode::decode(&bytes, super::decode) {
        Ok(decoded) => Ok((decoded.value, decoded.ignored.len())),
        Err(invalid) => Err(invalid.to_string()),
    }
}

fn to_file(log_format: Json) -> Json {
    json!({"name": "envoy.access_loggers.file", "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": "/dev/stdout",
        "logFormat": log_format,
    }})
}

#[test]
fn both_forms_of_text_are_the_same() {
    for format in [
        json!({"textFormatSource": {"inlineString": "%PROTOCOL%\n"}}),
        json!({"textFormat": "%PROTOCOL%\n"}),
    ] {
        let (log, ignored) = decoded(to_file(format)).expect("known");
        assert_eq!(log.path, "/dev/stdout");
        assert_eq!(log.format, AccessLogFormat::Text("%PROTOCOL%\n".into()));
        assert_eq!((log.only_no_route, ignored), (false, 0));
    }
}

#[test]
fn keys_of_json_are_texts() {
    let format = json!({"jsonFormat": {"b": "%PROTOCOL%", "a": "x"}, "jsonFormatOptions": {"sortProperties": true}});
    let (log, ignored) = decoded(to_file(format)).expect("known");
    let keys = vec![("a".into(), "x".into()), ("b".into(), "%PROTOCOL%".into())];
    assert_eq!((log.format, ignored), (AccessLogFormat::Json(keys), 1));
    assert_eq!(
        decoded(to_file(json!({"jsonFormat": {"a": 1}}))),
        Err("typed_config.log_format.json_format[\"a\"]: is not a string".into())
    );
}

#[test]
fn only_the_filter_for_no_route_is_known() {
    let mut log = to_file(json!({"textFormat": "x"}));
    log["filter"] = json!({"responseFlagFilter": {"flags": ["NR"]}});
    assert!(decoded(log.clone()).expect("known").0.only_no_route);
    log["filter"] = json!({"responseFlagFilter": {"flags": ["NR", "UF"]}});
    assert_eq!(
        decoded(log),
        Err("filter: the only filter is that for the response flag NR".into())
    );
}

#[test]
fn logs_elsewhere_than_in_files_are_refused() {
    let name = "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig";
    let log = json!({"name": "x", "typedConfig": {"@type": format!("type.googleapis.com/{name}")}});
    assert_eq!(
        decoded(log),
        Err(format!("typed_config: this proxy does not execute {name}"))
    );
}
