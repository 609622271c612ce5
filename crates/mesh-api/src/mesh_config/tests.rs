use super::*;

#[test]
fn an_empty_text_is_all_defaults() {
    for text in ["", "\n", "{}", "# nothing\n", "defaultConfig:\n"] {
        let read = MeshConfig::read(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(
            (read.value, read.unknown),
            (MeshConfig::default(), Vec::new()),
            "{text:?}"
        );
    }
}

#[test]
fn fields_are_read_and_unknown_ones_listed() {
    let text = "\
trustDomain: example.org
accessLogFile: /dev/stdout
accessLogEncoding: JSON
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
enableAutoMtls: false
protocolDetectionTimeout: 0.5s
enableTracing: true
defaultConfig:
  concurrency: 2
  drainDuration: 90s
  tracing: {sampling: 10}
  proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true', tracing: x}
";
    let read = MeshConfig::read(text).unwrap();
    let expected = MeshConfig {
        trust_domain: "example.org".into(),
        access_log_file: "/dev/stdout".into(),
        access_log_encoding: AccessLogEncoding::Json,
        outbound_traffic_policy: OutboundTrafficPolicy {
            mode: OutboundTrafficMode::RegistryOnly,
        },
        enable_auto_mtls: false,
        protocol_detection_timeout: Duration::from_millis(500),
        default_config: ProxyConfig {
            concurrency: Some(2),
            drain_duration: Duration::from_secs(90),
            proxy_metadata: [
                ("ISTIO_META_DNS_CAPTURE".into(), "true".into()),
                ("tracing".into(), "x".into()),
            ]
            .into(),
            other: [("tracing".into(), serde_json::json!({"sampling": 10}))].into(),
            ..ProxyConfig::default()
        },
        ..MeshConfig::default()
    };
    assert_eq!(read.value, expected);
    assert_eq!(read.unknown, ["enableTracing", "defaultConfig.tracing"]);
}

#[test]
fn errors_name_the_field() {
    let rows = [
        (
            "defaultConfig: {drainDuration: 1m}",
            "defaultConfig.drainDuration: `1m` is no duration",
        ),
        (
            "defaultConfig: {statusPort: 70000}",
            "defaultConfig.statusPort: invalid value",
        ),
        (
            "outboundTrafficPolicy: {mode: ALLOW}",
            "outboundTrafficPolicy.mode: unknown variant `ALLOW`",
        ),
        (
            "defaultConfig: {interceptionMode: redirect}",
            "defaultConfig.interceptionMode: unknown variant `redirect`",
        ),
        (
            "defaultConfig: {proxyMetadata: {A: 1}}",
            "defaultConfig.proxyMetadata.A: invalid type",
        ),
        ("- a", "expected fields and their values, found"),
        ("a: [", "line 1: "),
    ];
    for (text, expected) in rows {
        let error = MeshConfig::read(text).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn durations_take_the_forms_of_protobuf_only() {
    for (text, nanos) in [
        ("0s", 0),
        ("45s", 45_000_000_000),
        ("1.5s", 1_500_000_000),
        ("0.000000001s", 1),
    ] {
        let read = MeshConfig::read(&format!("connectTimeout: {text}"))
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            read.value.connect_timeout,
            Duration::from_nanos(nanos),
            "{text}"
        );
        assert_eq!(
            serde_json::to_value(&read.value).unwrap()["connectTimeout"],
            text
        );
    }
    for text in [
        "s",
        "1",
        "-1s",
        "1ms",
        ".5s",
        "1.s",
        "0.0000000001s",
        "99999999999999999999s",
    ] {
        assert!(
            MeshConfig::read(&format!("connectTimeout: {text}")).is_err(),
            "{text} was accepted"
        );
    }
}

#[test]
fn an_overlay_changes_only_what_it_sets() {
    let base = MeshConfig::read("defaultConfig: {concurrency: 2, proxyMetadata: {A: '1', B: '2'}}")
        .unwrap()
        .value;
    let text = "holdApplicationUntilProxyStarts: true\nproxyMetadata: {B: '3'}\nproxyStatsMatcher: {}\nimage: {a: b}";
    let read = base.default_config.overlay(text).unwrap();
    let written = serde_json::Value::Object(read.value.non_default());
    let expected = serde_json::json!({
        "concurrency": 2,
        "holdApplicationUntilProxyStarts": true,
        "proxyMetadata": {"A": "1", "B": "3"},
        "proxyStatsMatcher": {},
        "image": {"a": "b"},
    });
    assert_eq!(written, expected);
    assert_eq!(read.unknown, ["image"], "empty values do not count");
    let again = ProxyConfig::default()
        .overlay(&written.to_string())
        .unwrap();
    assert_eq!(
        again.value, read.value,
        "what is not default must read back"
    );
}
