//! Headers of a response: as it comes from a server, and as it goes to the client.

use super::*;
use crate::http::{local_reply::UNSENT, manager::Manager};
use http::StatusCode;
use mesh_model::name::Direction;
use std::time::Duration;

/// Whether it is not clear where the body ends or what it is: two lengths, or a coding that only we could undo.
pub(in crate::http) fn is_unclear(headers: &HeaderMap) -> bool {
    let two_lengths = headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH);
    two_lengths || has_unknown_coding(headers)
}

/// Takes off what is between the server and us only. An upgrade stays.
pub(in crate::http) fn arrived(status: StatusCode, headers: &mut HeaderMap) {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        strip_hop_by_hop(headers);
    }
}

/// Takes the mark of a peer's local reply off `headers`. Whether it was there.
pub(in crate::http) fn take_unsent_mark(headers: &mut HeaderMap) -> bool {
    headers.remove(UNSENT).is_some()
}

/// Notes how long the server took.
pub(in crate::http) fn service_time(headers: &mut HeaderMap, took: Duration) {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    headers.insert(SERVICE_TIME, HeaderValue::from(millis));
}

/// Cleans and completes the headers of a response that goes to the client.
pub(in crate::http) fn departing(
    status: StatusCode,
    headers: &mut HeaderMap,
    manager: &Manager,
    direction: Option<Direction>,
    operation: Option<&HeaderValue>,
    close: bool,
) {
    let upgrade = (status == StatusCode::SWITCHING_PROTOCOLS)
        .then(|| headers.get(header::UPGRADE).cloned())
        .flatten();
    strip_hop_by_hop(headers);
    if let Some(upgrade) = upgrade {
        set_upgrade(headers, &upgrade);
    } else if close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(server) = &manager.server {
        headers.insert(header::SERVER, server.clone());
    }
    if manager.is_traced {
        decorate(headers, direction, operation);
    }
}

// The server's side tells the operation; the client's side takes it off.
fn decorate(
    headers: &mut HeaderMap,
    direction: Option<Direction>,
    operation: Option<&HeaderValue>,
) {
    match (direction, operation) {
        (Some(Direction::Inbound), Some(operation)) => {
            headers.insert(DECORATOR_OPERATION, operation.clone());
        }
        (Some(Direction::Outbound), _) => {
            headers.remove(DECORATOR_OPERATION);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::manager::tests::{manager, model};

    #[test]
    fn the_server_is_overwritten_unless_it_passes() {
        for (overwrite, want) in [(true, "istio-envoy"), (false, "nginx")] {
            let mut model = model();
            model.overwrite_server = overwrite;
            model.server_name = "istio-envoy".into();
            let mut headers = HeaderMap::new();
            headers.insert("server", HeaderValue::from_static("nginx"));
            headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
            let manager = manager(&model);
            departing(StatusCode::OK, &mut headers, &manager, None, None, true);
            assert_eq!(headers["server"], want);
            assert_eq!(headers["connection"], "close");
            assert!(!headers.contains_key("transfer-encoding"));
        }
    }

    #[test]
    fn an_upgrade_is_passed_on() {
        let mut headers = HeaderMap::new();
        headers.insert("upgrade", HeaderValue::from_static("websocket"));
        headers.insert("connection", HeaderValue::from_static("Upgrade, x"));
        let status = StatusCode::SWITCHING_PROTOCOLS;
        departing(status, &mut headers, &manager(&model()), None, None, false);
        assert_eq!(headers["upgrade"], "websocket");
        assert_eq!(headers["connection"], "upgrade");
    }

    #[test]
    fn the_operation_is_told_once() {
        let mut model = model();
        model.tracing = Some(mesh_model::http::Tracing {
            client: 10_000,
            random: 100,
            overall: 10_000,
        });
        let manager = manager(&model);
        let operation = HeaderValue::from_static("a:80/*");
        let mut headers = HeaderMap::new();
        let inbound = Some(Direction::Inbound);
        departing(
            StatusCode::OK,
            &mut headers,
            &manager,
            inbound,
            Some(&operation),
            false,
        );
        assert_eq!(headers[DECORATOR_OPERATION], "a:80/*");
        let outbound = Some(Direction::Outbound);
        departing(
            StatusCode::OK,
            &mut headers,
            &manager,
            outbound,
            None,
            false,
        );
        assert!(!headers.contains_key(DECORATOR_OPERATION));
    }
}
