use super::*;

fn read(pairs: &[(&str, &str)]) -> (Annotations, Vec<String>) {
    let annotations = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut problems = Vec::new();
    let read = Annotations::read(&annotations, &Settings::default(), false, &mut problems);
    (read, problems.iter().map(ToString::to_string).collect())
}

/// The one problem of a single annotation, without its place.
fn problem(name: &str, value: &str) -> Option<String> {
    let (_, mut problems) = read(&[(name, value)]);
    assert!(problems.len() <= 1, "{problems:?}");
    let problem = problems.pop()?;
    Some(
        problem
            .strip_prefix(&format!("metadata.annotations[{name}]: "))
            .expect("the place")
            .to_owned(),
    )
}

#[test]
fn no_annotations_are_the_settings() {
    let (read, problems) = read(&[
        ("app.example.org/x", "y"),
        (name::INJECT, "true"),
        (name::STATUS, "{}"),
    ]);
    let settings = Settings::default();
    assert!(
        problems.is_empty() && read.warnings.is_empty(),
        "{problems:?} {:?}",
        read.warnings
    );
    assert_eq!(
        (read.capture, read.resources),
        (settings.capture, settings.resources)
    );
    assert_eq!(read.config, settings.mesh.default_config);
}

#[test]
fn values_are_checked() {
    let rows = [
        (
            name::INCLUDE_OUTBOUND_IP_RANGES,
            &["*", "10.0.0.0/8, 2001:db8::/32", ""][..],
            &["10.0.0.1", "*,10.0.0.0/8", "a/8", "10.0.0.0/33"][..],
        ),
        (
            name::EXCLUDE_OUTBOUND_IP_RANGES,
            &["10.0.0.0/8", ""],
            &["*"],
        ),
        (
            name::INCLUDE_INBOUND_PORTS,
            &["*", "", "80,443,"],
            &["0", "65536", "http", "80-90", "-1"],
        ),
        (name::EXCLUDE_INBOUND_PORTS, &["80"], &["*"]),
        (name::INCLUDE_OUTBOUND_PORTS, &["80"], &["x"]),
        (name::EXCLUDE_OUTBOUND_PORTS, &["80"], &["*"]),
        (
            name::EXCLUDE_INTERFACES,
            &["eth1,net-2"],
            &["a/b", "averyveryverylongname", "a b"],
        ),
        (
            name::INTERCEPTION_MODE,
            &["REDIRECT", "NONE"],
            &["TPROXY", "redirect"],
        ),
        (name::PROXY_CPU, &["100m", "2"], &["lots", "-1"]),
        (name::PROXY_MEMORY_LIMIT, &["1Gi"], &["1GB"]),
        (
            name::PROXY_IMAGE,
            &["example.org/proxy@sha256:0"],
            &["", "a b"],
        ),
        (name::LOG_LEVEL, &["debug"], &["a b"]),
        (
            name::PROXY_IMAGE_TYPE,
            &["debug", "distroless", "default"],
            &["", "a b", "a/b"],
        ),
        (name::REROUTE_VIRTUAL_INTERFACES, &["net1,net2"], &["a/b"]),
        (
            name::USER_VOLUME,
            &["{}", r#"{"a": {"emptyDir": {}}}"#],
            &["", "a"],
        ),
        (
            name::USER_VOLUME_MOUNT,
            &["[]"],
            &[r#"{"a": {"mountPath": 1}}"#],
        ),
        (
            name::DISCOVERY_ADDRESS,
            &["istiod.istio-system.svc:15012"],
            &["istiod", ":15012", "istiod:0"],
        ),
        (name::STATUS_PORT, &["0", "15020"], &["-1", "70000", ""]),
        (name::READINESS_PERIOD, &["1"], &["0", "1s"]),
        (
            name::PROMETHEUS_PORT,
            &["", "9090", " 80 "],
            &["http", "0", "9090/tcp"],
        ),
        (
            name::SCRAPE_TARGETS,
            &["", "8080:/metrics, 9100:/m?a=b"],
            &[
                "8080",
                "8080:metrics",
                "x:/m",
                "0:/m",
                "15090:/stats",
                "80:/m,80:/m",
                "80:/a b",
            ],
        ),
        (name::NATIVE_SIDECAR, &["true", "false", "1"], &["yes", ""]),
        (
            name::PROXY_CONFIG,
            &["", "concurrency: 2", "{\"drainDuration\": \"5s\"}"],
            &["concurrency: two", "a: [", "- a"],
        ),
    ];
    for (name, good, bad) in rows {
        for value in good {
            assert_eq!(problem(name, value), None, "{name}: {value}");
        }
        for value in bad {
            assert!(
                problem(name, value).is_some(),
                "{name}: {value} was accepted"
            );
        }
    }
}

#[test]
fn every_mistake_is_reported_at_once_and_says_what_is_wrong() {
    let (_, problems) = read(&[
        (name::INCLUDE_OUTBOUND_IP_RANGES, "10.0.0.1,x"),
        (name::EXCLUDE_INBOUND_PORTS, "*"),
        (name::PROXY_CONFIG, "drainDuration: 1m"),
        (name::PROXY_CPU, "many"),
    ]);
    let place = |name| format!("metadata.annotations[{name}]: ");
    let expected = [
        place(name::PROXY_CONFIG)
            + "drainDuration: `1m` is no duration in seconds such as 45s or 0.5s",
        place(name::INCLUDE_OUTBOUND_IP_RANGES)
            + "`10.0.0.1` lacks the length of its prefix, such as 10.0.0.1/32, `x` is no CIDR range such as 10.0.0.0/8",
        place(name::EXCLUDE_INBOUND_PORTS) + "`*` is not allowed here",
        place(name::PROXY_CPU) + "`many` is no quantity such as 100m or 128Mi",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn what_the_agent_does_not_scrape_is_not_its_to_judge() {
    for (name, value) in [
        (name::PROMETHEUS_SCRAPE, "false"),
        (name::MERGE_METRICS, "false"),
        (name::STATUS_PORT, "0"),
    ] {
        let (annotations, problems) = read(&[
            (name, value),
            (name::PROMETHEUS_PORT, "web"),
            (name::SCRAPE_TARGETS, "80:/m"),
        ]);
        assert_eq!(problems, [""; 0], "{name}");
        assert!(
            annotations.warnings[0].contains("scrape-targets: without effect"),
            "{:?}",
            annotations.warnings
        );
    }
}

#[test]
fn lists_are_joined_without_white_space() {
    let (read, _) = read(&[
        (name::INCLUDE_OUTBOUND_PORTS, " 80, 443 ,"),
        (name::INCLUDE_INBOUND_PORTS, ""),
    ]);
    assert_eq!(
        (
            &*read.capture.include_outbound_ports,
            &*read.capture.include_inbound_ports
        ),
        ("80,443", "")
    );
}

#[test]
fn one_resource_replaces_the_whole_default() {
    let (read, _) = read(&[(name::PROXY_CPU, "10m")]);
    assert_eq!(
        read.resources.requests,
        [("cpu".to_owned(), "10m".to_owned())].into()
    );
    assert!(read.resources.limits.is_empty());
}

#[test]
fn annotations_without_effect_are_listed() {
    let (read, problems) = read(&[
        ("sidecar.istio.io/bootstrapOverride", "x"),
        ("traffic.sidecar.istio.io/includeInboundPort", "80"),
        (name::PROXY_CONFIG, "tracing: {sampling: 1}"),
    ]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(
        read.warnings,
        [
            "annotation proxy.istio.io/config: tracing is not supported and has no effect",
            "annotation sidecar.istio.io/bootstrapOverride: not supported and without effect",
            "annotation traffic.sidecar.istio.io/includeInboundPort: not supported and without effect",
        ]
    );
}

#[test]
fn single_fields_win_over_the_config_annotation() {
    let (read, _) = read(&[
        (
            name::PROXY_CONFIG,
            "statusPort: 1\ndiscoveryAddress: a:1\nconcurrency: 3",
        ),
        (name::STATUS_PORT, "2"),
        (name::DISCOVERY_ADDRESS, "b:2"),
    ]);
    assert_eq!(
        (
            read.config.status_port,
            &*read.config.discovery_address,
            read.config.concurrency
        ),
        (2, "b:2", Some(3))
    );
}

#[test]
fn a_mode_that_is_not_executed_is_refused_where_it_was_asked_for() {
    let refused = |mesh: &str, pairs: &[(&str, &str)]| {
        let settings = Settings {
            mesh: mesh_api::mesh_config::MeshConfig::read(mesh).unwrap().value,
            ..Settings::default()
        };
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut problems = Vec::new();
        Annotations::read(&pairs.collect(), &settings, false, &mut problems);
        problems
            .iter()
            .map(|problem| problem.place.clone())
            .collect::<Vec<_>>()
    };
    let mesh = "defaultConfig: {interceptionMode: TPROXY}";
    assert_eq!(
        refused(mesh, &[]),
        ["mesh config: defaultConfig.interceptionMode"]
    );
    assert_eq!(
        refused(mesh, &[(name::INTERCEPTION_MODE, "REDIRECT")]),
        [""; 0]
    );
    let own = [(name::PROXY_CONFIG, "interceptionMode: TPROXY")];
    assert_eq!(
        refused("", &own),
        ["metadata.annotations[proxy.istio.io/config]: interceptionMode"]
    );
    let own = [(name::INTERCEPTION_MODE, "TPROXY")];
    assert_eq!(
        refused("", &own),
        ["metadata.annotations[sidecar.istio.io/interceptionMode]"]
    );
}

#[test]
fn the_newer_name_of_virtual_interfaces_wins() {
    let (read, _) = read(&[
        (name::KUBEVIRT_INTERFACES, "a"),
        (name::REROUTE_VIRTUAL_INTERFACES, "b"),
    ]);
    assert_eq!(read.capture.kubevirt_interfaces, "b");
    let (read, _) = super::tests::read(&[(name::KUBEVIRT_INTERFACES, "a")]);
    assert_eq!(read.capture.kubevirt_interfaces, "a");
}

#[test]
fn what_is_not_executed_reaches_the_proxy_all_the_same() {
    let (read, _) = read(&[(
        name::PROXY_CONFIG,
        "tracing: {sampling: 1}\nimage: {imageType: debug}",
    )]);
    let written = serde_json::Value::Object(read.config.non_default());
    assert_eq!(
        written,
        serde_json::json!({"tracing": {"sampling": 1}, "image": {"imageType": "debug"}})
    );
    assert_eq!(read.image_type.as_deref(), Some("debug"));
}
