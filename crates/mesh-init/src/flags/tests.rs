use super::*;
use mesh_model::port;
use std::collections::BTreeSet;

fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Settings, clap::Error> {
    let args = std::iter::once("mesh-init").chain(args.iter().copied());
    Settings::parse(args.map(OsString::from), |name| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

fn text(settings: &Settings, key: Key) -> &str {
    &settings.get(key).text
}

#[test]
fn every_row_has_its_own_key() {
    let keys: BTreeSet<Key> = FLAGS.iter().map(|flag| flag.key).collect();
    assert_eq!(keys.len(), FLAGS.len());
}

#[test]
fn defaults_are_the_meshs_ports() {
    let settings = parse(&["istio-iptables"], &[]).unwrap();
    for (key, port) in [
        (Key::EnvoyPort, port::OUTBOUND),
        (Key::InboundCapturePort, port::INBOUND),
        (Key::InboundTunnelPort, port::HBONE),
        (Key::ProbePort, port::IPTABLES_PROBE),
    ] {
        assert_eq!(text(&settings, key), port.to_string(), "{key:?}");
    }
}

#[test]
fn clap_accepts_the_table() {
    command().debug_assert();
}

#[test]
fn the_articles_arguments_are_accepted() {
    let settings = parse(
        &[
            "istio-iptables",
            "-p",
            "15001",
            "-z",
            "15006",
            "-u",
            "1337",
            "-m",
            "REDIRECT",
            "-i",
            "*",
            "-x",
            "",
            "-b",
            "*",
            "-d",
            "15090,15021,15020",
            "--log_output_level=default:info",
        ],
        &[],
    )
    .unwrap();
    assert_eq!(text(&settings, Key::ServiceCidr), "*");
    assert_eq!(text(&settings, Key::ServiceExcludeCidr), "");
    assert_eq!(text(&settings, Key::LocalExcludePorts), "15090,15021,15020");
    assert_eq!(text(&settings, Key::LogOutputLevel), "default:info");
    assert_eq!(settings.get(Key::EnvoyPort).origin, Origin::CommandLine);
    assert_eq!(settings.get(Key::InboundTunnelPort).origin, Origin::Default);
}

#[test]
fn a_flag_wins_over_its_variable_and_that_over_the_default() {
    let env = [
        ("ENVOY_PORT", "1"),
        ("INBOUND_CAPTURE_PORT", "2"),
        ("PROXY_UID", ""),
    ];
    let settings = parse(&["istio-iptables", "--envoy-port=3"], &env).unwrap();
    assert_eq!(text(&settings, Key::EnvoyPort), "3");
    assert_eq!(text(&settings, Key::InboundCapturePort), "2");
    let from = Origin::Environment("INBOUND_CAPTURE_PORT".to_owned());
    assert_eq!(settings.get(Key::InboundCapturePort).origin, from);
    assert_eq!(
        settings.get(Key::ProxyUid).origin,
        Origin::Default,
        "empty is unset"
    );
}

#[test]
fn some_settings_have_a_second_variable() {
    let settings = parse(&["istio-iptables"], &[("ISTIO_META_DNS_CAPTURE", "true")]).unwrap();
    assert_eq!(text(&settings, Key::RedirectDns), "true");
    let both = [
        ("ISTIO_META_DNS_CAPTURE", "true"),
        ("REDIRECT_DNS", "false"),
    ];
    let settings = parse(&["istio-iptables"], &both).unwrap();
    assert_eq!(text(&settings, Key::RedirectDns), "false");
}

#[test]
fn switches_take_an_optional_value() {
    let settings = parse(&["istio-iptables", "-n", "--cleanup-only=false"], &[]).unwrap();
    assert_eq!(text(&settings, Key::DryRun), "true");
    assert_eq!(text(&settings, Key::CleanupOnly), "false");
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    let settings = parse(&["istio-iptables", "-p", "1", "--envoy-port", "2"], &[]).unwrap();
    assert_eq!(text(&settings, Key::EnvoyPort), "2");
}

#[test]
fn a_link_called_istio_iptables_needs_no_subcommand() {
    let args = ["/usr/local/bin/istio-iptables", "-p", "7"].map(OsString::from);
    let settings = Settings::parse(args, |_| None).unwrap();
    assert_eq!(text(&settings, Key::EnvoyPort), "7");
}

#[test]
fn an_unknown_flag_is_refused_by_name() {
    let refused = parse(&["istio-iptables", "--envoy-prot", "1"], &[]).unwrap_err();
    assert!(refused.to_string().contains("--envoy-prot"), "{refused}");
}
