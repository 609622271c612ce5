//! The demo and the scenarios, in namespaces of their own, against what is known to be right.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

fn launcher(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_mesh-e2e"))
        .args(arguments)
        .output()
        .expect("the launcher starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "mesh-e2e {arguments:?}: {}\n{out}\n{err}",
        output.status
    );
    output
}

/// What the demo saw under `key`.
fn fact<'a>(facts: &'a [Value], key: &str) -> &'a str {
    let found = facts
        .iter()
        .find(|fact| fact["key"] == key)
        .and_then(|fact| fact["output"].as_str());
    found.unwrap_or_else(|| panic!("no fact {key}"))
}

/// A dump of rules without comments and counters.
fn rules(dump: &str) -> String {
    let mut text = String::new();
    for line in dump.lines().filter(|line| !line.starts_with('#')) {
        let rule = line
            .strip_prefix('[')
            .and_then(|l| l.split_once("] "))
            .map_or(line, |(_, rule)| rule);
        let rule = if rule.starts_with(':') {
            rule.split(" [").next().unwrap_or(rule)
        } else {
            rule
        };
        text.push_str(rule.trim_end());
        text.push('\n');
    }
    text
}

#[test]
#[ignore = "netns: needs root, iptables and iproute2"]
fn the_demo_prints_what_the_article_prints() {
    let output = launcher(&["demo", "--once", "--json"]);
    let facts: Vec<Value> = serde_json::from_slice(&output.stdout).expect("facts");
    for (key, want) in [
        ("listener-15001", include_str!("article/listener-15001.txt")),
        (
            "listener-vip-80",
            include_str!("article/listener-vip-80.txt"),
        ),
        ("route-vip", include_str!("article/route-vip.yaml")),
        ("cluster", include_str!("article/cluster.yaml")),
        ("endpoint", include_str!("article/endpoint.yaml")),
        ("listener-15006", include_str!("article/listener-15006.txt")),
        (
            "listener-wildcard-80",
            include_str!("article/listener-wildcard-80.txt"),
        ),
        ("route-inbound", include_str!("article/route-inbound.yaml")),
    ] {
        assert_eq!(fact(&facts, key), want, "{key}");
    }
    assert_eq!(
        rules(fact(&facts, "iptables")),
        include_str!("article/iptables.txt")
    );
    let cells = |line: &str| {
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let routes: Vec<_> = fact(&facts, "routes").lines().map(cells).collect();
    let name = "nginx.test.svc.cluster.local:80";
    assert!(
        routes.contains(&[name, name, "*", "/*"].map(str::to_owned).to_vec()),
        "{routes:?}"
    );
    assert!(
        routes.contains(
            &["80", name, "nginx, nginx.test + 1 more...", "/*"]
                .map(str::to_owned)
                .to_vec()
        ),
        "{routes:?}"
    );
}

/// Whoever changes their mind while it starts need not wait, and finds nothing left.
#[test]
#[ignore = "netns: needs root, iptables and iproute2"]
fn the_demo_can_be_ended_while_it_starts() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_mesh-e2e"))
        .arg("demo")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the launcher starts");
    let out = demo.stdout.take().expect("its output");
    let mut lines = BufReader::new(out).lines();
    assert!(lines.next().is_some(), "it says that it begins");
    let pid = demo.id();
    kill(Pid::from_raw(pid as i32), Signal::SIGINT).expect("told to end");
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert!(!rest.iter().any(|l| l.contains("stay up")), "{rest:?}");
    assert!(!demo.wait().expect("its end").success());
    assert!(!Path::new("/run/mesh").join(pid.to_string()).exists());
}

#[test]
#[ignore = "netns: needs root, iptables and iproute2"]
fn nothing_is_lost_and_nothing_arrives_twice() {
    launcher(&["scenario", "loss"]);
}

#[test]
#[ignore = "netns: needs root, iptables and iproute2"]
fn f26_a_pod_ends_in_any_order_and_nothing_is_lost() {
    launcher(&["scenario", "ends"]);
}

#[test]
#[ignore = "netns: needs root, iptables, iproute2 and faketime"]
fn f19_a_wrong_clock_is_not_seen_up_to_two_minutes_and_named_beyond_a_day() {
    launcher(&["scenario", "clock"]);
}

#[test]
#[ignore = "netns: needs root, iptables and iproute2"]
fn without_a_control_plane_running_pods_serve_and_new_ones_say_why_they_wait() {
    launcher(&["scenario", "outage"]);
}

#[test]
#[ignore = "netns: needs root, iptables and iproute2"]
fn strangers_are_refused_counted_and_forgotten() {
    launcher(&["scenario", "hostile"]);
}

#[test]
#[ignore = "netns: needs root, iptables and iproute2"]
fn sec_40_sec_41_sec_42_sec_43_a_proxy_neither_loops_nor_relays_and_takes_orders_of_its_pod_alone()
{
    launcher(&["scenario", "exposure"]);
}

#[test]
#[ignore = "netns: needs root, iptables and iproute2"]
fn names_of_the_mesh_are_answered_in_the_pod_and_others_outside() {
    launcher(&["scenario", "names"]);
}

#[test]
#[ignore = "netns: needs root, iptables, iproute2 and envoy"]
fn a_plain_envoy_is_a_sidecar_of_this_mesh() {
    launcher(&["scenario", "envoy"]);
}

#[test]
#[ignore = "netns: needs root, iptables, iproute2 and envoy"]
fn every_protocol_passes_between_mesh_proxy_and_a_plain_envoy() {
    launcher(&["scenario", "protocols"]);
}
