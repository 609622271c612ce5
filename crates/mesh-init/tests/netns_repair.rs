//! Whatever state a run finds, it ends in the same one; what is not ours stays; and removing leaves no trace.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

#[path = "netns/pod.rs"]
mod pod;

use pod::{ARTICLE, Pod, VARIANTS, in_pod, with_each_variant, words};

fn article() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/article-iptables-save.txt");
    fs::read_to_string(path).unwrap()
}

/// What a run may leave behind that was killed, done twice, or done by another tool or with other flags.
const LEFTOVERS: &[&str] = &[
    // A chain without anything in it, and one that nothing jumps to.
    "*nat\n:ISTIO_OUTPUT - [0:0]\nCOMMIT\n",
    "*nat\n:ISTIO_REDIRECT - [0:0]\n-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n",
    // A jump before its chain is filled.
    "*nat\n:ISTIO_INBOUND - [0:0]\n-A PREROUTING -p tcp -j ISTIO_INBOUND\nCOMMIT\n",
    // Jumps twice, in another form, and out of someone else's chain.
    "*nat\n:ISTIO_OUTPUT - [0:0]\n:THEIRS - [0:0]\n-A OUTPUT -p tcp -j ISTIO_OUTPUT\n-A OUTPUT -p tcp -j ISTIO_OUTPUT\n\
     -A OUTPUT -j ISTIO_OUTPUT\n-A THEIRS -s 10.0.0.0/8 -g ISTIO_OUTPUT\nCOMMIT\n",
    // Rules in the wrong order, one too many, one of another port.
    "*nat\n:ISTIO_INBOUND - [0:0]\n:ISTIO_IN_REDIRECT - [0:0]\n-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT\n\
     -A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN\n-A ISTIO_INBOUND -p tcp -m tcp --dport 22 -j RETURN\n\
     -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 6\nCOMMIT\n",
    // The other mode's tables, and the guard of a run that was cut short.
    "*mangle\n:ISTIO_TPROXY - [0:0]\n:ISTIO_DIVERT - [0:0]\n-A PREROUTING -p tcp -j ISTIO_TPROXY\n\
     -A ISTIO_DIVERT -j ACCEPT\n-A OUTPUT -o lo -m comment --comment mesh-init -j RETURN\nCOMMIT\n",
    "*filter\n-A INPUT -p tcp -m comment --comment mesh-init -j DROP\n-A OUTPUT -p udp -m comment --comment mesh-init -j DROP\nCOMMIT\n",
    "*raw\n:ISTIO_OUTPUT_DNS - [0:0]\n-A OUTPUT -j ISTIO_OUTPUT_DNS\nCOMMIT\n",
];

#[test]
#[ignore = "netns: needs root and iptables"]
fn f27_every_leftover_is_repaired() {
    for leftover in LEFTOVERS {
        with_each_variant(|pod, variant| {
            pod.restore(&format!("iptables-{variant}-restore"), leftover);
            pod.apply(ARTICLE);
            let rules = pod.rules(&format!("iptables-{variant}-save"));
            let rules = rules.replace(":THEIRS -\n", "");
            assert!(rules.contains(&article()), "{variant}, {leftover}\n{rules}");
            let ours = article().matches("-A ").count();
            assert_eq!(
                rules.matches("-A ").count(),
                ours,
                "{variant}, {leftover}\n{rules}"
            );
        });
    }
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn f27_every_leftover_is_removed() {
    with_each_variant(|pod, variant| {
        for leftover in LEFTOVERS {
            pod.restore(&format!("iptables-{variant}-restore"), leftover);
        }
        pod.apply(&["--cleanup-only"]);
        let left = pod.everything();
        assert!(!left.contains("ISTIO_") && !left.contains("-A "), "{left}");
        assert!(
            left.contains(":THEIRS -\n"),
            "a chain of theirs stays: {left}"
        );
    });
}

/// Rules of others around ours: before and after our jumps, in our tables and elsewhere, some that look like ours.
const FOREIGN: &str = "*filter\n:THEIRS - [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j THEIRS\n\
    -A THEIRS -m comment --comment \"not -j ISTIO_OUTPUT at all\" -j ACCEPT\nCOMMIT\n\
    *mangle\n-A OUTPUT -p tcp -m mark --mark 0x539 -j RETURN\n-A OUTPUT -p udp -m udp --dport 9 -j ACCEPT\nCOMMIT\n\
    *nat\n:ISTIO_OUTPUT_OF_THEIRS - [0:0]\n-A PREROUTING -i eth7 -j RETURN\n-A OUTPUT -d 192.0.2.1/32 -j ISTIO_OUTPUT_OF_THEIRS\n\
    -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE\n-A ISTIO_OUTPUT_OF_THEIRS -p tcp -j REDIRECT --to-ports 1\nCOMMIT\n\
    *raw\n-A PREROUTING -p udp -m udp --dport 9 -j CT --notrack\nCOMMIT\n";

fn is_ours(line: &str) -> bool {
    let names = |word: &str| word.starts_with("ISTIO_") && !word.contains("THEIRS");
    line.contains("--comment mesh-init")
        || !line.contains("--comment \"") && line.split([' ', ':']).any(names)
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn f27_what_others_have_written_stays_and_removing_leaves_no_trace() {
    with_each_variant(|pod, variant| {
        let (restore, save) = (
            format!("iptables-{variant}-restore"),
            format!("iptables-{variant}-save"),
        );
        pod.restore(&restore, FOREIGN);
        // With the counters of each rule (the legacy kernel interface starts those of the chains anew): foreign rules
        // are not taken out and put back.
        let save_counters = format!("{save} -c");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"x", "127.0.0.1:9").unwrap();
        let before = pod.rules(&save_counters);
        let untouched = pod.rules(&save);
        assert!(before.contains("[1:29] -A OUTPUT -p udp"), "{before}");

        let args = words("-b * -i * -m TPROXY -c eth1 -k vnet0 --drop-invalid");
        let args = [&args[..], &["--force-iptables-binary", variant]].concat();
        pod.apply(&args);
        pod.apply(&[&args[..], &["--force-apply", "--reconcile"]].concat());
        let rules = pod.rules(&save);
        let foreign = rules.lines().filter(|line| !is_ours(line));
        assert_eq!(
            foreign.collect::<Vec<_>>(),
            untouched.lines().collect::<Vec<_>>(),
            "{variant}"
        );

        pod.apply(&["--cleanup-only"]);
        assert_eq!(pod.rules(&save_counters), before, "{variant}");
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn f27_removing_twice_is_removing_once() {
    in_pod(|pod| {
        pod.apply(&["--cleanup-only"]);
        assert_eq!(
            pod.everything(),
            "",
            "a pod without rules gets none by cleaning"
        );
        pod.apply(ARTICLE);
        pod.apply(&["--cleanup-only"]);
        let once = pod.everything();
        pod.apply(&["--cleanup-only"]);
        assert_eq!(pod.everything(), once);
        assert!(!once.contains("-A "), "{once}");
    });
}

/// Kills runs at any point of their few milliseconds, then runs once more. With `MESH_LONG` in the environment: 200 rounds of
/// three kills each.
#[test]
#[ignore = "netns: needs root and iptables"]
fn f28_a_killed_run_is_completed_by_the_next() {
    let rounds = std::env::var_os("MESH_LONG").map_or(24, |_| 200);
    let all = words("-b * -i * -m TPROXY --drop-invalid --reconcile");
    let whole = in_pod(|pod| {
        let begin = Instant::now();
        pod.apply(&all);
        begin.elapsed()
    });
    let mut killed = 0;
    for (round, variant) in (0u32..rounds).zip(VARIANTS.iter().cycle()) {
        killed += in_pod(|pod| {
            let mut killed = 0;
            for (kill, args) in [&all[..], ARTICLE, &all[..]].into_iter().enumerate() {
                let args = [args, &["--force-iptables-binary", variant]].concat();
                let mut run = pod.start(&args);
                // Anywhere in the length of a run, and a little later: the golden ratio comes near no point twice.
                let number = f64::from(round * 3 + kill as u32);
                sleep(whole.mul_f64((number * 0.618_034).fract() * 1.1));
                run.kill().unwrap();
                killed += u32::from(run.wait().unwrap().signal() == Some(9));
            }
            pod.apply(&[ARTICLE, &["--force-iptables-binary", variant]].concat());
            let rules = pod.rules(&format!("iptables-{variant}-save"));
            assert!(
                rules.contains(&article()),
                "{variant}, round {round}:\n{rules}"
            );
            assert_eq!(
                rules.matches("-A ").count(),
                article().matches("-A ").count(),
                "{rules}"
            );
            killed
        });
    }
    println!(
        "{killed} of {} runs were cut short, of {whole:?} each",
        rounds * 3
    );
    assert!(killed > rounds, "only {killed} runs were cut short");
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn runs_at_the_same_time_agree() {
    with_each_variant(|pod, variant| {
        for _ in 0..5 {
            let args = [ARTICLE, &["--force-iptables-binary", variant]].concat();
            let runs: Vec<_> = (0..4).map(|_| pod.start(&args)).collect();
            for run in runs {
                let verdict = pod::Verdict::of(run.wait_with_output().unwrap());
                assert_eq!(verdict.code, Some(0), "{variant}: {}", verdict.said);
            }
            assert_eq!(
                pod.rules(&format!("iptables-{variant}-save")),
                article(),
                "{variant}"
            );
            pod.apply(&["--cleanup-only"]);
        }
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn the_guard_is_taken_down() {
    with_each_variant(|pod: &Pod, variant| {
        let args = [
            ARTICLE,
            &[
                "--force-iptables-binary",
                variant,
                "--reconcile",
                "--log_output_level=debug",
            ],
        ]
        .concat();
        assert!(
            !pod.apply(&args).contains("DROP"),
            "nothing is replaced, nothing is guarded"
        );
        let said = pod.apply(&[&args[..], &["-b", "80"]].concat());
        assert!(
            said.contains("-I INPUT 1 -p tcp -m comment --comment mesh-init -j DROP"),
            "{said}"
        );
        assert!(
            !pod.rules(&format!("iptables-{variant}-save"))
                .contains("DROP")
        );
    });
}
