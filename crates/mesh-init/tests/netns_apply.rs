//! Rules applied for real: the article's dump, every variant, the second run, the choice of the kernel interface.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[path = "netns/pod.rs"]
mod pod;
#[path = "variants/table.rs"]
mod table;

use pod::{ARTICLE, Pod, in_pod, with_each_variant, words};

const IN_PLACE: &str = "in place already";

fn forced<'a>(variant: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--force-iptables-binary", variant]].concat()
}

fn article() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/article-iptables-save.txt");
    fs::read_to_string(path).unwrap()
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn iptables_save_prints_the_articles_dump() {
    with_each_variant(|pod, variant| {
        pod.apply(&forced(variant, ARTICLE));
        assert_eq!(pod.rules(&format!("iptables-{variant}-save")), article());
        assert_eq!(
            pod.rules(&format!("ip6tables-{variant}-save")),
            "",
            "no address, no rules"
        );
    });
}

/// Applies every variant and looks again: only if `iptables-save` prints each rule as we write it, is it recognised.
#[test]
#[ignore = "netns: needs root and iptables"]
fn every_variant_is_recognised_by_the_next_run() {
    for variant in table::VARIANTS {
        let args: Vec<&str> = table::ARTICLE.iter().chain(variant.args).copied().collect();
        if args.contains(&"--cleanup-only") || args.contains(&"--skip-rule-apply") {
            continue;
        }
        with_each_variant(|pod, kernel| {
            let addresses: Vec<String> = variant
                .addresses
                .iter()
                .map(|address| with_prefix(address))
                .collect();
            pod.interface(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
            pod.nameservers(variant.nameservers);
            let run = || {
                let mut command = pod.command(&forced(kernel, &args));
                // Group names are the container's; this machine need not know them.
                command.envs(
                    variant
                        .env
                        .iter()
                        .map(|(key, value)| (*key, value.replace("java", "55"))),
                );
                let both = if variant.addresses.len() > 1 {
                    "true"
                } else {
                    "false"
                };
                let verdict = pod::Verdict::of(command.env("DUAL_STACK", both).output().unwrap());
                assert_eq!(
                    verdict.code,
                    Some(0),
                    "{} ({kernel}):\n{}",
                    variant.name,
                    verdict.said
                );
                verdict.said
            };
            run();
            let (rules, said) = (pod.everything(), run());
            assert_eq!(
                said.matches(IN_PLACE).count(),
                variant.addresses.len(),
                "{} ({kernel}): {said}",
                variant.name
            );
            assert_eq!(pod.everything(), rules, "{} ({kernel})", variant.name);
            pod.apply(&["--cleanup-only"]);
            let left = pod.everything();
            assert!(
                !left.contains("ISTIO_") && !left.contains("-A "),
                "{} ({kernel}):\n{left}",
                variant.name
            );
        });
    }
}

fn with_prefix(address: &str) -> String {
    let length = if address.contains(':') { 64 } else { 24 };
    format!("{address}/{length}")
}

/// Puts a recorder in front of every program and returns the PATH that leads to it.
fn recorder(directory: &Path) -> (String, std::path::PathBuf) {
    let log = directory.join("log");
    let real = std::env::var("PATH").unwrap();
    let programs = ["iptables", "ip6tables"].into_iter().flat_map(|family| {
        ["", "-nft", "-legacy"]
            .into_iter()
            .flat_map(move |variant| {
                ["", "-save", "-restore"].map(move |job| format!("{family}{variant}{job}"))
            })
    });
    for program in programs.chain(["ip".to_owned()]) {
        let path = directory.join(&program);
        let script = format!(
            "#!/bin/sh\necho {program} \"$@\" >> {}\nPATH={real} exec {program} \"$@\"\n",
            log.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    (format!("{}:{real}", directory.display()), log)
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn f27_a_second_run_only_looks() {
    with_each_variant(|pod, variant| {
        pod.interface(&["fd00::73/64", "10.244.0.73/24"]);
        let args = forced(variant, &[ARTICLE, &["--dual-stack"]].concat());
        pod.apply(&args);
        let before = pod.everything();

        let directory = tempfile::tempdir().unwrap();
        let (path, log) = recorder(directory.path());
        let output = pod.command(&args).env("PATH", path).output().unwrap();
        assert!(output.status.success());
        assert_eq!(pod.everything(), before);
        for line in fs::read_to_string(log).unwrap().lines() {
            assert!(
                line.contains("-save") || line.ends_with("--version"),
                "executed `{line}`"
            );
        }
    });
}

/// An iptables-restore that succeeds with something else in mind must not pass: the rules are asked for one by one.
#[test]
#[ignore = "netns: needs root and iptables"]
fn what_was_written_is_asked_for() {
    with_each_variant(|pod, variant| {
        let directory = tempfile::tempdir().unwrap();
        let (path, real) = (directory.path(), std::env::var("PATH").unwrap());
        let program = format!("iptables-{variant}-restore");
        let script = format!("#!/bin/sh\nsed s/15006/15007/ | PATH={real} {program} \"$@\"\n");
        fs::write(path.join(&program), script).unwrap();
        fs::set_permissions(path.join(&program), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = pod.command(&forced(variant, ARTICLE));
        let output = command
            .env("PATH", format!("{}:{real}", path.display()))
            .output()
            .unwrap();
        let missing =
            "nat: `-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006` is not there";
        pod::Verdict::of(output).fails(1, &["not all in place", missing, "hint: "]);
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn f27_a_fresh_pod_gets_nft_and_one_in_use_what_it_uses() {
    in_pod(|pod| {
        pod.apply(ARTICLE);
        assert_eq!(pod.rules("iptables-nft-save"), article());
        assert_eq!(pod.rules("iptables-legacy-save"), "");
    });
    in_pod(|pod| {
        pod.restore(
            "iptables-legacy-restore",
            "*filter\n-A INPUT -j ACCEPT\n-A OUTPUT -j ACCEPT\nCOMMIT\n",
        );
        pod.apply(ARTICLE);
        assert_eq!(
            pod.rules("iptables-nft-save"),
            article(),
            "two rules are not use"
        );
    });
    in_pod(|pod| {
        let three =
            "*filter\n-A INPUT -j ACCEPT\n-A FORWARD -j ACCEPT\n-A OUTPUT -j ACCEPT\nCOMMIT\n";
        pod.restore("iptables-legacy-restore", three);
        pod.apply(ARTICLE);
        assert!(pod.rules("iptables-legacy-save").contains(&article()));
        assert_eq!(pod.rules("iptables-nft-save"), "");
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn our_rules_stay_where_they_are_unless_forced_elsewhere() {
    in_pod(|pod| {
        pod.apply(&forced("legacy", ARTICLE));
        assert!(pod.apply(ARTICLE).contains(IN_PLACE));
        pod.apply(&forced("nft", ARTICLE));
        assert_eq!(pod.rules("iptables-nft-save"), article());
        assert!(
            !pod.rules("iptables-legacy-save").contains("ISTIO_"),
            "not in both"
        );
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn f27_other_flags_replace_the_rules() {
    with_each_variant(|pod, variant| {
        let save = format!("iptables-{variant}-save");
        let tproxy = words("-m TPROXY -c eth1 -b 80 -i * --drop-invalid");
        pod.apply(&forced(variant, &tproxy));
        pod.apply(&forced(variant, ARTICLE));
        let rules = pod.rules(&save);
        assert!(rules.contains(&article()), "{rules}");
        assert_eq!(
            rules.matches("-A ").count(),
            article().matches("-A ").count(),
            "nothing else: {rules}"
        );
        assert!(!pod.sh("ip rule show").contains("fwmark"));
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn force_apply_writes_the_same_again() {
    with_each_variant(|pod, variant| {
        pod.apply(&forced(variant, ARTICLE));
        let said = pod.apply(&forced(variant, &[ARTICLE, &["--force-apply"]].concat()));
        assert!(!said.contains(IN_PLACE), "{said}");
        assert_eq!(pod.rules(&format!("iptables-{variant}-save")), article());
    });
}

fn ipv6_article() -> String {
    article()
        .replace("127.0.0.6/32", "::6/128")
        .replace("127.0.0.1/32", "::1/128")
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn f27_ipv6_follows_the_pods_addresses() {
    let first = |pod: &Pod, args: &[&str], rules: &str, address: bool| {
        pod.apply(&[ARTICLE, args].concat());
        assert_eq!(pod.rules("iptables-nft-save"), article());
        assert_eq!(pod.rules("ip6tables-nft-save"), rules);
        assert_eq!(
            pod.sh("ip -6 address show dev lo").contains("::6/128"),
            address
        );
    };
    in_pod(|pod| {
        pod.interface(&["10.244.0.73/24", "fd00::73/64"]);
        first(pod, &[], "", false);
        first(pod, &["--dual-stack"], &ipv6_article(), true);
        assert_eq!(
            pod.apply(&[ARTICLE, &["--dual-stack"]].concat())
                .matches(IN_PLACE)
                .count(),
            2
        );
    });
    in_pod(|pod| {
        pod.interface(&["fd00::73/64"]);
        first(pod, &[], &ipv6_article(), true);
        // No longer the pod's: its rules go too.
        pod.sh("ip address del fd00::73/64 dev eth0 && ip address add 10.244.0.73/24 dev eth0");
        pod.apply(ARTICLE);
        assert!(!pod.rules("ip6tables-nft-save").contains("ISTIO_"));
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn tproxy_has_its_routes_once() {
    in_pod(|pod| {
        pod.interface(&["10.244.0.73/24", "fd00::73/64"]);
        let args = words("-m TPROXY -b * -i * --dual-stack");
        let expect = |rules: usize, routes: usize| {
            for family in ["-4", "-6"] {
                let shown = pod.sh(&format!("ip {family} rule show"));
                assert_eq!(
                    shown.matches("fwmark 0x539 lookup 133").count(),
                    rules,
                    "{shown}"
                );
                let shown = pod.sh(&format!("ip {family} route show table all type local"));
                assert_eq!(
                    shown.matches("default dev lo table 133").count(),
                    routes,
                    "{shown}"
                );
            }
        };
        pod.apply(&args);
        expect(1, 1);
        pod.sh("ip -4 rule add fwmark 1337 lookup 133; ip -4 rule add fwmark 1337 lookup 133");
        pod.sh("ip -6 route del local default dev lo table 133");
        pod.apply(&args);
        expect(1, 1);
        pod.apply(&args);
        expect(1, 1);
        pod.apply(&["--cleanup-only"]);
        expect(0, 0);
        assert!(!pod.sh("ip -6 address show dev lo").contains("::6/128"));
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn refused_values_touch_nothing() {
    in_pod(|pod| {
        let args = [ARTICLE, &["-p", "none", "-b", "80,x"]].concat();
        let words = [
            "--envoy-port: `none`",
            "--istio-inbound-ports: `80,x`",
            "nothing was touched",
        ];
        pod.mesh_init(&args).fails(2, &words);
        assert_eq!(pod.everything(), "");
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn another_namespace_can_be_named() {
    in_pod(|inner| {
        let path = inner.path();
        in_pod(|outer| {
            outer.apply(&[ARTICLE, &["--network-namespace", &path]].concat());
            assert_eq!(outer.everything(), "");
        });
        assert_eq!(inner.rules("iptables-nft-save"), article());
        let args = [ARTICLE, &["--network-namespace", "/proc/self/nowhere"]].concat();
        inner
            .mesh_init(&args)
            .fails(1, &["/proc/self/nowhere", "hint: "]);
    });
}
