//! Access logs, as the mesh's settings ask for them.

use crate::snapshot::World;
use mesh_api::mesh_config::{AccessLogEncoding, MeshConfig};
use mesh_model::access_log::{AccessLog, AccessLogFormat, ISTIO_TEXT_FORMAT};

/// Of every request and connection.
pub(super) fn all(world: &World) -> Vec<AccessLog> {
    log(world.mesh(), false).into_iter().collect()
}

/// Of connections that no filter chain takes.
pub(super) fn unmatched(world: &World) -> Vec<AccessLog> {
    log(world.mesh(), true).into_iter().collect()
}

fn log(mesh: &MeshConfig, only_no_route: bool) -> Option<AccessLog> {
    (!mesh.access_log_file.is_empty()).then(|| AccessLog {
        only_no_route,
        ..AccessLog::file(&mesh.access_log_file, format(mesh))
    })
}

fn format(mesh: &MeshConfig) -> AccessLogFormat {
    match (mesh.access_log_encoding, mesh.access_log_format.as_str()) {
        (AccessLogEncoding::Text, "") => AccessLogFormat::Text(ISTIO_TEXT_FORMAT.into()),
        (AccessLogEncoding::Text, format) => AccessLogFormat::Text(format.into()),
        (AccessLogEncoding::Json, format) => AccessLogFormat::Json(json_fields(format)),
    }
}

/// The user's fields, or Istio's where there are none or they are no JSON object.
fn json_fields(format: &str) -> Vec<(String, String)> {
    let written: Option<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(format).ok();
    match written {
        Some(fields) => fields
            .into_iter()
            .map(|(name, value)| match value {
                serde_json::Value::String(text) => (name, text),
                other => (name, other.to_string()),
            })
            .collect(),
        None => ISTIO_JSON_FIELDS
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    }
}

/// Fields of Istio's default JSON line.
const ISTIO_JSON_FIELDS: [(&str, &str); 24] = [
    ("start_time", "%START_TIME%"),
    ("route_name", "%ROUTE_NAME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    (
        "connection_termination_details",
        "%CONNECTION_TERMINATION_DETAILS%",
    ),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    (
        "upstream_service_time",
        "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    ),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    (
        "upstream_transport_failure_reason",
        "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    ),
];
