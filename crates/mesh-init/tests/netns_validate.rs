//! The validation: a real connection, as the sidecar's user, through real rules or past missing ones.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

#[path = "netns/pod.rs"]
mod pod;

use pod::{ARTICLE, Pod, Verdict, in_pod, with_each_variant};

const VALIDATE: &[&str] = &["--run-validation"];
const ONLY_VALIDATE: &[&str] = &[
    "--run-validation",
    "--probe-timeout",
    "2s",
    "--skip-rule-apply",
];

#[test]
#[ignore = "netns: needs root and iptables"]
fn rules_that_redirect_are_proven() {
    with_each_variant(|pod, variant| {
        let args = [ARTICLE, VALIDATE, &["--force-iptables-binary", variant]].concat();
        assert!(pod.apply(&args).contains("IPv4: the redirection works"));
        let args = [ARTICLE, ONLY_VALIDATE, &["-m", "TPROXY"]].concat();
        assert!(pod.apply(&args).contains("the redirection works"));
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn both_families_are_proven() {
    in_pod(|pod| {
        pod.interface(&["10.244.0.73/24", "fd00::73/64"]);
        let said = pod.apply(&[ARTICLE, VALIDATE, &["--dual-stack"]].concat());
        assert!(
            said.contains("IPv4: the redirection works")
                && said.contains("IPv6: the redirection works"),
            "{said}"
        );
        pod.sh("ip6tables-nft -t nat -F ISTIO_IN_REDIRECT");
        let verdict = pod.mesh_init(&[ARTICLE, ONLY_VALIDATE, &["--dual-stack"]].concat());
        verdict.fails(
            126,
            &[
                "IPv6 connections are not redirected",
                "[::6]:15002",
                "hint: ",
            ],
        );
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn rules_that_do_not_redirect_are_found_out() {
    in_pod(|pod| {
        let args = [ARTICLE, ONLY_VALIDATE].concat();
        pod.mesh_init(&args)
            .fails(126, &["not redirected", "127.0.0.6:15002", "hint: "]);
        assert_eq!(pod.everything(), "", "validating writes nothing");
        pod.apply(ARTICLE);
        pod.apply(&args);
        pod.sh("iptables -t nat -I ISTIO_OUTPUT 1 -p tcp -j RETURN");
        pod.mesh_init(&args).fails(126, &["not redirected"]);
    });
}

/// Someone answers, but not in the sidecar's place: an answer alone must not pass.
#[test]
#[ignore = "netns: needs root and iptables"]
fn another_listener_does_not_pass_for_the_sidecar() {
    in_pod(|pod| {
        let _other = TcpListener::bind("127.0.0.6:15002").unwrap();
        pod.mesh_init(&[ARTICLE, ONLY_VALIDATE].concat())
            .fails(126, &["went somewhere else"]);
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn the_sidecars_ports_must_be_free() {
    in_pod(|pod| {
        let _sidecar = TcpListener::bind("127.0.0.1:15006").unwrap();
        let verdict = pod.mesh_init(&[ARTICLE, VALIDATE].concat());
        verdict.fails(
            126,
            &["127.0.0.1:15006", "hint: validate before the sidecar runs"],
        );
    });
}

/// As in the validation container of a pod with the CNI plugin: the sidecar's user, no capabilities.
#[test]
#[ignore = "netns: needs root and iptables"]
fn the_sidecars_user_needs_no_capability() {
    in_pod(|pod| {
        pod.apply(ARTICLE);
        let verdict = as_user(pod, 1337, &[ARTICLE, ONLY_VALIDATE].concat());
        assert_eq!(verdict.code, Some(0), "{}", verdict.said);
        let verdict = as_user(pod, 1338, &[ARTICLE, ONLY_VALIDATE].concat());
        verdict.fails(
            126,
            &[
                "cannot connect as user 1337",
                "hint: run the validation as user 1337",
                "CAP_SETUID",
            ],
        );
    });
}

fn as_user(pod: &Pod, id: u32, args: &[&str]) -> Verdict {
    // Where the user can reach it: the pod's own /run.
    let program = std::path::Path::new("/run/mesh-init");
    fs::copy(env!("CARGO_BIN_EXE_mesh-init"), program).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions("/run", fs::Permissions::from_mode(0o755)).unwrap();
    let _ = pod;
    let output = pod::command(program, args).uid(id).gid(id).output();
    Verdict::of(output.unwrap())
}
