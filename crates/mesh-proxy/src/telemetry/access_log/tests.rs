//! Lines as they are written, of records like those of the data path.

use super::*;
use crate::telemetry::{
    Observers, Telemetry,
    tests::{connection, request, tcp, telemetry},
};
use crate::{policy::metadata::DynamicMetadata, telemetry::UpstreamRecord};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use mesh_model::{
    access_log::{AccessLogFormat, ISTIO_TEXT_FORMAT},
    name::Direction,
};
use serde_json::json;
use std::time::Duration;

fn line(format: AccessLogFormat, line: &Line<'_>) -> String {
    let mut out = Vec::new();
    Form::compile(&format).expect("format").push(&mut out, line);
    String::from_utf8(out).expect("escaped")
}

fn text(format: &str) -> AccessLogFormat {
    AccessLogFormat::Text(format.to_owned())
}

fn served_upstream() -> UpstreamRecord {
    UpstreamRecord {
        cluster: Some("outbound|80||nginx.test.svc.cluster.local".into()),
        host: "10.244.0.73:80".parse().ok(),
        local: "10.244.0.9:40000".parse().ok(),
        ..UpstreamRecord::default()
    }
}

#[test]
fn istios_default_line() {
    let connection = connection(Direction::Outbound);
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("curl/8.5.0"));
    headers.insert("x-request-id", HeaderValue::from_static("8a8e"));
    let mut response = HeaderMap::new();
    response.insert(
        "x-envoy-upstream-service-time",
        HeaderValue::from_static("2"),
    );
    let upstream = served_upstream();
    let record = RequestRecord {
        response_headers: Some(&response),
        ..request(&connection, &upstream, &headers)
    };
    assert_eq!(
        line(text(ISTIO_TEXT_FORMAT), &Line::Request(&record)),
        concat!(
            "[2024-05-12T05:53:29.123Z] \"GET /a?b=c HTTP/1.1\" 200 - via_upstream - \"-\" 0 615 3 2 \"-\" ",
            "\"curl/8.5.0\" \"8a8e\" \"nginx.test\" \"10.244.0.73:80\" ",
            "outbound|80||nginx.test.svc.cluster.local 10.244.0.9:40000 10.244.0.73:80 10.244.0.9:51234 - default\n"
        )
    );
}

#[test]
fn istios_default_line_of_a_tcp_connection() {
    let connection = connection(Direction::Outbound);
    let mut upstream = served_upstream();
    upstream.transport_failure = Some("TLS handshake: invalid peer certificate".into());
    let record = TcpRecord {
        flags: ResponseFlags::UPSTREAM_CONNECTION_FAILURE,
        ..tcp(&connection, &upstream)
    };
    let got = line(text(ISTIO_TEXT_FORMAT), &Line::Tcp(&record));
    assert!(
        got.contains(concat!(
            "] \"- - -\" 0 UF - - \"TLS_handshake:_invalid_peer_certificate\" 10 20 20 - \"-\" \"-\" \"-\" \"-\" ",
            "\"10.244.0.73:80\" outbound|80||nginx.test.svc.cluster.local "
        )),
        "{got}"
    );
}

/// What a client can put into the fields that are logged.
const HOSTILE: &[&[u8]] = &[
    b"a\" 200 - forged \"",
    b"\x1b[2J\x1b]0;title\x07",
    b"back\\slash\\\"",
    b"\xff\xfe\xc3",
    "\u{9b}2J\u{2028}\u{202e}".as_bytes(),
    b"\xf0\x9f\x98",
    b"tab\there",
];

#[test]
fn a_line_is_one_line_whatever_a_client_sends() {
    for hostile in HOSTILE {
        let mut headers = HeaderMap::new();
        // What the HTTP codec refuses may still come by other ways: a server name, a path.
        if let Ok(value) = HeaderValue::from_bytes(hostile) {
            headers.insert("user-agent", value);
        }
        let lossy = String::from_utf8_lossy(hostile).into_owned() + "\n\r";
        let mut connection = connection(Direction::Inbound);
        connection.server_name = Some(lossy.as_str().into());
        let upstream = UpstreamRecord {
            transport_failure: Some(lossy.as_str().into()),
            ..UpstreamRecord::default()
        };
        let record = RequestRecord {
            path: &lossy,
            authority: &lossy,
            route: Some(&lossy),
            ..request(&connection, &upstream, &headers)
        };
        let got = line(text(ISTIO_TEXT_FORMAT), &Line::Request(&record));
        assert_eq!(got.matches('\n').count(), 1, "{got}");
        assert!(
            got.ends_with('\n') && !got.trim_end().contains(char::is_control),
            "{got}"
        );
        // Twelve quotes stand in the format itself; whatever was sent is behind a backslash.
        let quotes = got
            .replace("\\\\", "")
            .replace("\\\"", "")
            .matches('"')
            .count();
        assert_eq!(quotes, 14, "{got}");
        let json = AccessLogFormat::Json(vec![
            ("agent\"".into(), "%REQ(USER-AGENT)%".into()),
            ("path".into(), "<%REQ(:PATH)%>".into()),
            ("server".into(), "%REQUESTED_SERVER_NAME%".into()),
            (
                "reason".into(),
                "%UPSTREAM_TRANSPORT_FAILURE_REASON%".into(),
            ),
        ]);
        let got = line(json, &Line::Request(&record));
        let value: serde_json::Value = serde_json::from_str(&got).expect("valid JSON");
        assert_eq!(value["server"], lossy.as_str());
        assert_eq!(value["path"], format!("<{lossy}>"));
        assert!(!got.trim_end().contains(char::is_control), "{got}");
    }
}

#[test]
fn json_values_keep_their_types() {
    let connection = connection(Direction::Inbound);
    let (upstream, headers) = (UpstreamRecord::default(), HeaderMap::new());
    let record = request(&connection, &upstream, &headers);
    let members = [
        ("response_code", "%RESPONSE_CODE%"),
        ("upstream_host", "%UPSTREAM_HOST%"),
        ("start_time", "%START_TIME%"),
        ("both", "%PROTOCOL% %UPSTREAM_HOST%"),
        ("constant", "x"),
        ("flags", "%RESPONSE_FLAGS%"),
        ("state", "%FILTER_STATE(wasm.x:PLAIN)%"),
    ];
    let members = members.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let got = line(
        AccessLogFormat::Json(members.into()),
        &Line::Request(&record),
    );
    let want = concat!(
        r#"{"response_code":200,"upstream_host":null,"start_time":"2024-05-12T05:53:29.123Z","#,
        r#""both":"HTTP/1.1 -","constant":"x","flags":"-","state":null}"#,
        "\n"
    );
    assert_eq!(got, want);
}

#[test]
fn operators() {
    let mut connection = connection(Direction::Inbound);
    connection.peer = "[::1]:9".parse().expect("address");
    let mut headers = HeaderMap::new();
    headers.insert("x-long", HeaderValue::from_static("abcdefgh"));
    headers.insert(
        "x-utf",
        HeaderValue::from_bytes("äöü".as_bytes()).expect("value"),
    );
    let upstream = UpstreamRecord::default();
    let record = RequestRecord {
        version: Version::HTTP_2,
        status: Some(StatusCode::NOT_FOUND),
        flags: ResponseFlags::NO_ROUTE_FOUND,
        grpc_status: Some(12),
        ..request(&connection, &upstream, &headers)
    };
    for (format, want) in [
        ("%%x%%", "%x%"),
        ("%REQ(X-LONG):3%", "abc"),
        ("%REQ(X-UTF):3%", "ä"),
        ("%REQ(X-NO?X-LONG):100%", "abcdefgh"),
        ("%REQ(X-NO?Y-NO)%", "-"),
        ("%RESP(X-LONG)%", "-"),
        (
            "%PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS%",
            "HTTP/2 404 NR",
        ),
        ("%DURATION%ms", "3ms"),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "[::1]:9"),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%",
            "::1 80",
        ),
        (
            "%START_TIME(%Y/%m/%d %H:%M:%S.%3f)%",
            "2024/05/12 05:53:29.123",
        ),
        ("%START_TIME(%s)%", "1715493209"),
        ("%GRPC_STATUS_NUMBER% %CONNECTION_ID%", "12 7"),
        ("%DYNAMIC_METADATA(a:b):5%", "-"),
    ] {
        assert_eq!(
            line(text(format), &Line::Request(&record)),
            want,
            "{format}"
        );
    }
    assert_ne!(line(text("%HOSTNAME%"), &Line::Request(&record)), "-");
}

#[test]
fn what_filters_wrote_is_shown() {
    let connection = connection(Direction::Inbound);
    let (upstream, headers) = (UpstreamRecord::default(), HeaderMap::new());
    let mut metadata = DynamicMetadata::default();
    let claims = json!({"sub": "a \"b\"\n", "n": 7, "groups": ["x", "y"]});
    metadata.set("jwt", "payload", claims);
    let record = RequestRecord {
        metadata: &metadata,
        ..request(&connection, &upstream, &headers)
    };
    for (format, want) in [
        ("%DYNAMIC_METADATA(jwt:payload:n)%", "7"),
        ("%DYNAMIC_METADATA(jwt:payload:groups)%", r#"["x","y"]"#),
        ("%DYNAMIC_METADATA(jwt:payload:groups):4%", r#"["x""#),
        ("%DYNAMIC_METADATA(jwt:payload:none)%", "-"),
        ("%DYNAMIC_METADATA(other)%", "-"),
    ] {
        assert_eq!(
            line(text(format), &Line::Request(&record)),
            want,
            "{format}"
        );
    }
    let hostile = line(
        text("%DYNAMIC_METADATA(jwt:payload:sub)%"),
        &Line::Request(&record),
    );
    assert!(
        !hostile.contains('\n') && hostile.starts_with("a "),
        "{hostile}"
    );
    let json = AccessLogFormat::Json(vec![
        ("n".into(), "%DYNAMIC_METADATA(jwt:payload:n)%".into()),
        ("no".into(), "%DYNAMIC_METADATA(jwt:payload:no)%".into()),
        ("sub".into(), "%DYNAMIC_METADATA(jwt:payload:sub)%".into()),
        ("all".into(), "%DYNAMIC_METADATA(jwt)%".into()),
    ]);
    let got = line(json, &Line::Request(&record));
    let got: serde_json::Value = serde_json::from_str(&got).expect("JSON");
    assert_eq!((&got["n"], &got["no"]), (&json!(7), &json!(null)));
    assert_eq!(got["sub"], got["all"]["payload"]["sub"]);
}

#[test]
fn formats_that_mean_nothing_are_refused() {
    for (format, want) in [
        ("%NOT_AN_OPERATOR%", "unknown operator NOT_AN_OPERATOR"),
        ("100%", "no closing `%`"),
        ("%REQ%", "REQ needs an argument"),
        ("%REQ(x%", "no closing `)`"),
        ("%REQ(:SCHEME)%", "is no name of a header"),
        ("%DURATION(x)%", "DURATION takes no argument"),
        ("%DURATION:x%", "`x` is not a length"),
        ("%START_TIME(%Q %!)%", "%"),
    ] {
        let error = Form::compile(&text(format)).expect_err(format);
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn only_what_no_route_took_is_logged_where_that_is_asked_for() {
    let telemetry = telemetry();
    let sinks = &telemetry.0.sinks;
    let model = access_log::AccessLog {
        only_no_route: true,
        ..access_log::AccessLog::file("/nonexistent", text("x\n"))
    };
    let log = AccessLog::new(&model, sinks).expect("format");
    let (connection, upstream) = (connection(Direction::Inbound), UpstreamRecord::default());
    let mut record = tcp(&connection, &upstream);
    assert!(!log.wants(&Line::Tcp(&record)));
    record.flags = ResponseFlags::NO_ROUTE_FOUND;
    assert!(log.wants(&Line::Tcp(&record)));
}

fn observers(telemetry: &Telemetry, path: &std::path::Path) -> Observers {
    let format = text("%CONNECTION_ID%\n");
    let model = access_log::AccessLog::file(path.to_string_lossy(), format);
    telemetry.observers(None, &[model]).expect("format")
}

fn stat(telemetry: &Telemetry, name: &str) -> u64 {
    let stats = telemetry.stats();
    let stat = stats.iter().find(|stat| stat.full_name() == name);
    stat.expect("known").value
}

#[tokio::test(start_paused = true)]
async fn a_line_waits_a_second_at_most() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("log");
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let observers = observers(&telemetry, &path);
    let (connection, upstream) = (connection(Direction::Inbound), UpstreamRecord::default());
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            tokio::task::spawn_local(shard.log_flusher());
            shard.tcp_closed(&tcp(&connection, &upstream), &observers, None);
            tokio::time::sleep(Duration::from_millis(900)).await;
            telemetry.finish_logs(Duration::from_secs(10));
            assert!(!path.exists(), "not yet");
            tokio::time::sleep(Duration::from_millis(200)).await;
            telemetry.finish_logs(Duration::from_secs(10));
            assert_eq!(std::fs::read_to_string(&path).expect("written"), "7\n");
        })
        .await;
}

#[test]
fn a_blocked_pipe_costs_lines_and_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("pipe");
    // Opened for both ways, nobody reads: it fills up, and then blocks.
    let reader = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .expect("open");
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let observers = observers(&telemetry, &path);
    let (connection, upstream) = (connection(Direction::Inbound), UpstreamRecord::default());
    let record = tcp(&connection, &upstream);
    const LINES: u64 = 4_000_000 / 2;
    let start = std::time::Instant::now();
    for _ in 0..LINES {
        shard.tcp_closed(&record, &observers, None);
    }
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "nothing waited for the pipe"
    );
    let dropped = stat(&telemetry, "access_log.lines_dropped");
    assert!(dropped > 0 && dropped < LINES, "{dropped}");
    // Somebody reads again: all that was not dropped arrives, in whole lines.
    drop(shard);
    let drain = std::thread::spawn(move || {
        use std::io::Read;
        let (mut reader, mut all, mut buffer) = (reader, 0_u64, vec![0; 1 << 16]);
        loop {
            let n = reader.read(&mut buffer).expect("read");
            all += buffer[..n].iter().filter(|b| **b == b'\n').count() as u64;
            if buffer[..n].contains(&b'!') {
                return all;
            }
        }
    });
    telemetry.finish_logs(Duration::from_secs(60));
    std::fs::write(&path, "!").expect("written");
    let dropped = stat(&telemetry, "access_log.lines_dropped");
    assert_eq!(drain.join().expect("read") + dropped, LINES);
}
