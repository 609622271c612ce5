//! The texts are those of iptables 1.8.9.

use super::*;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

fn explained(program: &'static str, code: i32, stderr: &str, input: &str) -> Failure {
    let output = Output {
        status: ExitStatus::from_raw(code << 8),
        stdout: vec![],
        stderr: stderr.as_bytes().to_vec(),
    };
    explain(program, &[Capability::NetAdmin], &output, input)
}

#[test]
fn a_missing_kernel_module_is_named() {
    let stderr = "Warning: Extension owner revision 0 not supported, missing kernel module?\n\
                  iptables-nft-restore v1.8.9 (nf_tables): \n\
                  line 2: RULE_APPEND failed (No such file or directory): rule in chain OUTPUT\n";
    let failure = explained("iptables-nft-restore", 4, stderr, "");
    let expected = "the kernel has no match `owner` for `iptables-nft-restore`: the module xt_owner is missing";
    assert_eq!(failure.to_string(), expected);
    assert!(failure.hint().unwrap().contains("modprobe xt_owner"));

    let stderr = "Warning: Extension TPROXY revision 0 not supported, missing kernel module?\n";
    let failure = explained("iptables-legacy-restore", 1, stderr, "");
    assert!(failure.to_string().contains("target `TPROXY`"), "{failure}");
}

#[test]
fn a_missing_table_is_a_missing_module() {
    let stderr = "ip6tables v1.8.9 (legacy): can't initialize ip6tables table `nat': \
                  Table does not exist (do you need to insmod?)\n\
                  Perhaps ip6tables or your kernel needs to be upgraded.\n";
    let failure = explained("ip6tables-legacy", 3, stderr, "");
    assert!(
        failure
            .to_string()
            .ends_with("the module ip6table_nat is missing"),
        "{failure}"
    );
}

#[test]
fn a_missing_plugin_is_named() {
    let stderr =
        "iptables-restore v1.8.9 (legacy): Couldn't load match `owner':No such file or directory\n";
    let failure = explained("iptables-legacy-restore", 2, stderr, "");
    assert!(
        failure.to_string().contains("no match `owner`"),
        "{failure}"
    );
}

#[test]
fn a_lock_that_is_held_or_cannot_be_opened() {
    let stderr = "Can't lock /run/xtables.lock: Resource temporarily unavailable\n\
                  Another app is currently holding the xtables lock. Stopped waiting after 30s.\n";
    assert!(matches!(
        explained("iptables-legacy-restore", 4, stderr, ""),
        Failure::Busy { .. }
    ));
    let stderr = "Fatal: can't open lock file /run/xtables.lock: Permission denied\n";
    let failure = explained("iptables-legacy-restore", 4, stderr, "");
    assert!(
        failure.to_string().contains("/run/xtables.lock"),
        "{failure}"
    );
}

#[test]
fn a_refused_line_is_shown() {
    let input = "*nat\n-D OUTPUT -p tcp -j RETURN\nCOMMIT\n";
    for stderr in [
        "iptables-nft-restore: line 2 failed: Bad rule (does a matching rule exist in that chain?).\n",
        "iptables-restore: line 2 failed\n",
        "iptables-nft-restore v1.8.9 (nf_tables): \nline 2: RULE_DELETE failed (No such file or directory): rule\n",
        "iptables-restore v1.8.9 (legacy): unknown option \"--x\"\nError occurred at line: 2\nTry `iptables-restore -h'\n",
    ] {
        let failure = explained("iptables-restore", 1, stderr, input);
        assert!(
            failure.to_string().contains("`-D OUTPUT -p tcp -j RETURN`"),
            "{failure}"
        );
        assert!(!failure.to_string().contains("Try `"), "{failure}");
    }
}

#[test]
fn a_refusal_names_the_capability_or_says_that_it_is_not_missing() {
    let stderr = "iptables-nft-save v1.8.9 (nf_tables): Could not fetch rule set generation id: \
                  Permission denied (you must be root)\n";
    let failure = explained("iptables-nft-save", 4, stderr, "");
    match held(Capability::NetAdmin) {
        true => assert!(matches!(failure, Failure::Refused { .. }), "{failure}"),
        false => assert!(
            failure.to_string().contains("needs CAP_NET_ADMIN"),
            "{failure}"
        ),
    }
    assert!(failure.hint().is_some());
}

#[test]
fn what_is_not_recognised_is_shown_as_it_is() {
    let failure = explained("iptables-restore", 1, "first\n\nsecond\n", "*nat\n");
    let expected = "`iptables-restore` failed (exit status: 1): first; second";
    assert_eq!(failure.to_string(), expected);
}
