use super::*;
use std::ffi::OsString;

fn host() -> Host {
    Host {
        addresses: vec!["127.0.0.1".parse().unwrap(), "10.244.0.73".parse().unwrap()],
        nameservers: vec!["10.96.0.10".parse().unwrap()],
        user: |name| (name == "istio-proxy").then_some(4321),
        group: |name| (name == "java").then_some(55),
    }
}

fn config_on(host: &Host, args: &[&str], env: &[(&str, &str)]) -> Result<Config, Invalid> {
    let args = ["istio-iptables"].iter().chain(args).map(OsString::from);
    let settings = Settings::parse(args, |name| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    });
    Config::new(&settings.expect("known flags"), host)
}

fn config(args: &[&str], env: &[(&str, &str)]) -> Result<Config, Invalid> {
    config_on(&host(), args, env)
}

fn problems(args: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    config(args, env)
        .unwrap_err()
        .0
        .iter()
        .map(Problem::to_string)
        .collect()
}

#[test]
fn without_arguments_nothing_is_captured() {
    let config = config(&[], &[]).unwrap();
    assert_eq!(config.capture.inbound, Inbound::None);
    assert_eq!(config.capture.outbound.ranges, Ranges::Only(vec![]));
    assert_eq!(config.capture.outbound.groups, OwnerGroups::AllBut(vec![]));
    assert_eq!(config.capture.interception, Interception::Redirect);
    assert_eq!(
        (config.capture.outbound_port, config.capture.inbound_port),
        (15001, 15006)
    );
    assert_eq!(
        config.run.action,
        Action::Apply {
            force: false,
            guarded: false
        }
    );
    assert_eq!(config.run.validation, None);
}

#[test]
fn the_sidecars_ids_come_from_the_flag_the_user_or_1337() {
    let ids = |config: Config| (config.capture.proxy_uids, config.capture.proxy_gids);
    assert_eq!(
        ids(config(&["-u", "1,2"], &[]).unwrap()),
        (vec![1, 2], vec![1, 2])
    );
    assert_eq!(
        ids(config(&["-u", "1", "-g", "java"], &[]).unwrap()),
        (vec![1], vec![55])
    );
    assert_eq!(ids(config(&[], &[]).unwrap()), (vec![4321], vec![4321]));
    assert_eq!(
        ids(config(&[], &[("ENVOY_USER", "nobody")]).unwrap()),
        (vec![1337], vec![1337])
    );
}

#[test]
fn every_bad_value_is_named_at_once() {
    let said = problems(
        &[
            "-p",
            "x",
            "-z",
            "0",
            "-b",
            "80,http",
            "-i",
            "10.0.0.1",
            "-m",
            "NONE",
            "-c",
            "a b",
            "--dry-run=maybe",
        ],
        &[
            ("PROXY_UID", "nobody-here"),
            ("INVALID_DROP", "perhaps"),
            ("ISTIO_OUTBOUND_OWNER_GROUPS", "perl"),
        ],
    );
    let expected = [
        "--proxy-uid (from PROXY_UID): `nobody-here` has `nobody-here`, which is neither a number nor a name known here\n    \
         hint: names are looked up inside this container; write the number",
        "--envoy-port: `x` is not a port (1 to 65535)",
        "--inbound-capture-port: `0` is not a port (1 to 65535)",
        "--istio-inbound-interception-mode: `NONE` is neither REDIRECT nor TPROXY",
        "--istio-inbound-ports: `80,http` has `http`, which is not a port (1 to 65535)",
        "--istio-service-cidr: `10.0.0.1` has `10.0.0.1`, which is not an IP range in CIDR form\n    \
         hint: for one address write 10.0.0.1/32",
        "ISTIO_OUTBOUND_OWNER_GROUPS: `perl` has `perl`, which is neither a number nor a name known here\n    \
         hint: names are looked up inside this container; write the number",
        "--istio-exclude-interfaces: `a b` has `a b`, which is not the name of a network interface",
        "--drop-invalid (from INVALID_DROP): `perhaps` is neither true nor false",
        "--dry-run: `maybe` is neither true nor false",
    ];
    assert_eq!(said, expected);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let one = |args: &[&str], env: &[(&str, &str)]| {
        let said = problems(args, env);
        assert_eq!(said.len(), 1, "{said:?}");
        said.into_iter().next().unwrap()
    };
    assert!(one(&["-x", "*"], &[]).starts_with("--istio-service-exclude-cidr: `*`"));
    assert!(one(&["-p", "15006"], &[]).contains("also --envoy-port"));
    assert!(one(&["-m", "TPROXY", "-t", "1338"], &[]).contains("sidecar's own"));
    assert!(one(&["--run-validation", "-o", "15002"], &[]).contains("not captured"));
    assert!(one(&["--cleanup-only", "--skip-rule-apply"], &[]).contains("contradicts"));
    assert!(one(&["--cleanup-only", "--run-validation"], &[]).contains("contradicts"));
    assert!(one(&["--native-nftables"], &[]).contains("not supported"));
    assert!(one(&["--force-iptables-binary", "ebtables"], &[]).contains("`ebtables`"));
    assert!(one(&[], &[("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "10.0.0.0/8")]).contains("loopback"));
    let both = [
        ("ISTIO_OUTBOUND_OWNER_GROUPS", "1"),
        ("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", "2"),
    ];
    assert!(one(&[], &both).contains("cannot be combined"));
    let many: Vec<String> = (1..=65).map(|id: u32| id.to_string()).collect();
    let many = many.join(",");
    assert!(one(&[], &[("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", &many)]).contains("65 groups"));
}

#[test]
fn dns_capture_needs_a_server_or_all() {
    let dns = |args: &[&str]| config(args, &[]).unwrap().capture.dns;
    let server: IpAddr = "10.96.0.10".parse().unwrap();
    assert_eq!(
        dns(&["--redirect-dns"]),
        Some(DnsCapture::Servers(vec![server]))
    );
    assert_eq!(
        dns(&["--redirect-dns", "--capture-all-dns"]),
        Some(DnsCapture::AnyServer)
    );
    assert_eq!(dns(&["--capture-all-dns"]), None);

    let serverless = Host {
        nameservers: vec![],
        ..host()
    };
    let config = config_on(&serverless, &["--redirect-dns"], &[]).unwrap();
    assert_eq!(config.capture.dns, None);
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn ipv6_that_is_left_alone_is_mentioned() {
    let addresses = ["10.244.0.73", "fd00::73"].map(|text| text.parse().unwrap());
    let dual = Host {
        addresses: addresses.to_vec(),
        ..host()
    };
    let config = config_on(&dual, &[], &[]).unwrap();
    assert!(!config.capture.ipv6);
    assert!(config.warnings[0].starts_with("IPv6 is not captured"));
    let config = config_on(&dual, &["--dual-stack"], &[]).unwrap();
    assert!(config.capture.ipv6 && config.warnings.is_empty());
}

#[test]
fn validation_carries_its_probe() {
    let args = [
        "--run-validation",
        "--skip-rule-apply",
        "--iptables-probe-port",
        "9",
        "--probe-timeout",
        "1s",
    ];
    let run = config(&args, &[]).unwrap().run;
    assert_eq!(run.action, Action::Nothing);
    assert_eq!(
        run.validation,
        Some(Probe {
            port: 9,
            timeout: Duration::from_secs(1)
        })
    );
}
