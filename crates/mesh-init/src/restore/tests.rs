use super::*;
use crate::config::Config;
use crate::flags::Settings;
use crate::host::Host;
use crate::rules::Family;
use crate::saved::Saved;
use std::ffi::OsString;

fn rules(args: &[&str]) -> RuleSet {
    let args = ["istio-iptables"].iter().chain(args).map(OsString::from);
    let settings = Settings::parse(args, |_| None).unwrap();
    let host = Host {
        addresses: vec![],
        nameservers: vec![],
        user: |_| None,
        group: |_| None,
    };
    RuleSet::capture(&Config::new(&settings, &host).unwrap().capture, Family::V4)
}

#[test]
fn nothing_in_place_needs_no_deletion() {
    let text = change(
        &Owned::default(),
        &rules(&["-b", "*", "-i", "*"]),
        Manner::Changes,
    )
    .unwrap();
    assert!(text.starts_with("*nat\n:ISTIO_INBOUND - [0:0]\n"), "{text}");
    assert!(text.ends_with("COMMIT\n"), "{text}");
    assert!(!text.contains("-D ") && !text.contains("-X "), "{text}");
}

#[test]
fn what_is_in_place_is_not_written_again_unless_told() {
    let rules = rules(&["-b", "*", "-i", "*"]);
    let have = Owned::from(&rules);
    assert_eq!(change(&have, &rules, Manner::Changes), None);
    let text = change(&have, &rules, Manner::Everything).unwrap();
    assert!(
        text.contains("-D PREROUTING -p tcp -j ISTIO_INBOUND\n"),
        "{text}"
    );
}

#[test]
fn only_the_table_that_differs_is_written() {
    let have = Owned::from(&rules(&["-b", "*", "--drop-invalid"]));
    let text = change(
        &have,
        &rules(&["-b", "80", "--drop-invalid"]),
        Manner::Changes,
    )
    .unwrap();
    assert!(
        text.contains("*nat\n") && !text.contains("*mangle\n"),
        "{text}"
    );
}

#[test]
fn leftovers_go_wherever_they_stand() {
    let have = Saved::parse(
        "*filter\n:ISTIO_DROP - [0:0]\n-A FORWARD -j ISTIO_DROP\nCOMMIT\n\
         *nat\n:THEIRS - [0:0]\n:ISTIO_TPROXY - [0:0]\n:ISTIO_INBOUND - [0:0]\n\
         -A PREROUTING -p tcp -j ISTIO_INBOUND\n-A PREROUTING -p tcp -j ISTIO_INBOUND\n\
         -A THEIRS -s 10.0.0.0/8 -j ISTIO_TPROXY\n-A ISTIO_INBOUND -j ISTIO_TPROXY\nCOMMIT\n",
    );
    let text = change(&have.owned, &RuleSet::default(), Manner::Changes).unwrap();
    let expected = "*filter\n-D FORWARD -j ISTIO_DROP\n-F ISTIO_DROP\n-X ISTIO_DROP\nCOMMIT\n\
                    *nat\n-D PREROUTING -p tcp -j ISTIO_INBOUND\n-D PREROUTING -p tcp -j ISTIO_INBOUND\n\
                    -D THEIRS -s 10.0.0.0/8 -j ISTIO_TPROXY\n-F ISTIO_INBOUND\n-F ISTIO_TPROXY\n\
                    -X ISTIO_INBOUND\n-X ISTIO_TPROXY\nCOMMIT\n";
    assert_eq!(text, expected);
}

#[test]
fn a_virtual_machines_rules_stand_on_top_in_order() {
    let text = change(
        &Owned::default(),
        &rules(&["-i", "*", "-k", "a,b"]),
        Manner::Changes,
    )
    .unwrap();
    let tops: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("-I "))
        .collect();
    let expected = [
        "-I PREROUTING 1 -i b -j ISTIO_REDIRECT",
        "-I PREROUTING 2 -i a -j ISTIO_REDIRECT",
        "-I PREROUTING 3 -i b -m comment --comment mesh-init -j RETURN",
        "-I PREROUTING 4 -i a -m comment --comment mesh-init -j RETURN",
    ];
    assert_eq!(tops, expected);
}

#[test]
fn the_guard_is_ours_if_it_is_left_behind() {
    let text = guarded("*nat\nCOMMIT\n");
    let up: String = text
        .lines()
        .take_while(|line| *line != "COMMIT")
        .fold(String::new(), |text, line| {
            text + &line.replace("-I INPUT 1", "-A INPUT") + "\n"
        });
    let left = Saved::parse(&up).owned;
    assert_eq!(left.0["filter"].hooked["INPUT"].len(), 2);
    assert_eq!(text.matches("-I ").count(), 6);
    assert_eq!(text.matches("-D ").count(), 6);
}
