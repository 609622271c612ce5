//! What is missing is named, with advice: a program, a plugin, a capability, a writable lock file.

use nix::mount::{MsFlags, mount};
use std::os::unix::process::CommandExt;

#[path = "netns/pod.rs"]
mod pod;

use pod::{ARTICLE, Pod, Verdict, in_pod};

fn without_capability(pod: &Pod, capability: &str, args: &[&str]) -> Verdict {
    let mut command = std::process::Command::new("setpriv");
    command
        .arg(format!("--bounding-set=-{capability}"))
        .arg(env!("CARGO_BIN_EXE_mesh-init"));
    command.arg("istio-iptables").args(args);
    let _ = pod;
    Verdict::of(command.output().expect("setpriv (util-linux) is installed"))
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn a_capability() {
    in_pod(|pod| {
        for variant in pod::VARIANTS {
            let args = [ARTICLE, &["--force-iptables-binary", variant]].concat();
            let verdict = without_capability(pod, "net_admin", &args);
            verdict.fails(
                1,
                &["needs CAP_NET_ADMIN", "hint: give the container NET_ADMIN"],
            );
        }
        without_capability(pod, "net_admin", ARTICLE).fails(1, &["needs CAP_NET_ADMIN"]);
        let args = [ARTICLE, &["--force-iptables-binary", "legacy"]].concat();
        without_capability(pod, "net_raw", &args).fails(
            1,
            &["needs CAP_NET_RAW", "hint: give the container NET_RAW"],
        );
        without_capability(pod, "net_admin", &["--cleanup-only"])
            .fails(1, &["needs CAP_NET_ADMIN"]);
        assert_eq!(pod.everything().matches("-A ").count(), 0);
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn a_user_without_any_capability() {
    in_pod(|pod| {
        let program = std::path::Path::new("/run/mesh-init");
        std::fs::copy(env!("CARGO_BIN_EXE_mesh-init"), program).unwrap();
        let output = pod::command(program, ARTICLE)
            .uid(65534)
            .gid(65534)
            .output()
            .unwrap();
        Verdict::of(output).fails(1, &["needs CAP_NET_ADMIN", "hint: "]);
        let dry_run = [ARTICLE, &["--dry-run"]].concat();
        let verdict = Verdict::of(
            pod::command(program, &dry_run)
                .uid(65534)
                .gid(65534)
                .output()
                .unwrap(),
        );
        assert_eq!(verdict.code, Some(0), "{}", verdict.said);
        assert!(
            verdict
                .printed
                .contains("-A OUTPUT -p tcp -j ISTIO_OUTPUT\n")
        );
        assert_eq!(pod.everything(), "");
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn a_program() {
    in_pod(|pod| {
        let mut command = pod.command(ARTICLE);
        let verdict = Verdict::of(command.env("PATH", "/nowhere").output().unwrap());
        verdict.fails(
            1,
            &[
                "`iptables` is not installed",
                "hint: install the package `iptables`",
            ],
        );
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn a_plugin() {
    in_pod(|pod| {
        let mut command = pod.command(&[ARTICLE, &["--force-iptables-binary", "legacy"]].concat());
        let verdict = Verdict::of(command.env("XTABLES_LIBDIR", "/nowhere").output().unwrap());
        verdict.fails(1, &["its plugin is missing", "hint: "]);
        assert_eq!(pod.everything().matches("-A ").count(), 0);
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn a_writable_lock_file() {
    in_pod(|pod| {
        let nothing = None::<&str>;
        mount(
            Some("none"),
            "/run",
            Some("tmpfs"),
            MsFlags::MS_RDONLY,
            nothing,
        )
        .unwrap();
        let args = [ARTICLE, &["--force-iptables-binary", "legacy"]].concat();
        pod.mesh_init(&args)
            .fails(1, &["lock file", "/run/xtables.lock", "hint: "]);
    });
}
