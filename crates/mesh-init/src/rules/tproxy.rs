//! The mangle table: inbound capture by TPROXY, and dropping invalid packets.
//!
//! In TPROXY mode the sidecar accepts inbound connections on a transparent socket and opens its own to the application
//! from the client's address, with the same mark. The marks, together with the routing rule of `routes`, bring
//! both kinds of packets back to the sidecar.

use super::{Chain, Family, Hook, Match, Owner, Protocol, Rule, RuleSet, Table, Target};
use crate::config::{Capture, Inbound, OUTBOUND_MARK, Tproxy};

const MANGLE: Table = Table::Mangle;

pub(super) fn add(rules: &mut RuleSet, capture: &Capture, family: Family) {
    let tproxy = capture.transparent();
    if tproxy.is_some() {
        leave_interfaces_alone(rules, capture);
    }
    if capture.drop_invalid {
        drop_invalid(rules);
    }
    if let Some(tproxy) = tproxy {
        transparent_chains(rules, capture, family, tproxy);
        inbound(rules, capture, family, tproxy);
        marks(rules, capture, family, tproxy);
    }
}

fn leave_interfaces_alone(rules: &mut RuleSet, capture: &Capture) {
    for interface in &capture.excluded_interfaces {
        rules.hook(
            MANGLE,
            Hook::Prerouting,
            Rule::pass().arriving_on(interface).tagged(),
        );
        rules.hook(
            MANGLE,
            Hook::Output,
            Rule::pass().leaving_on(interface).tagged(),
        );
    }
}

/// A packet outside of its connection's window would reach the pod untranslated and be answered by a reset.
fn drop_invalid(rules: &mut RuleSet) {
    let invalid = Rule::jump(Chain::Drop).when(Match::State("INVALID"));
    rules.hook(MANGLE, Hook::Prerouting, invalid);
    rules.append(MANGLE, Chain::Drop, Rule::new(Target::Drop));
}

fn transparent_chains(rules: &mut RuleSet, capture: &Capture, family: Family, tproxy: Tproxy) {
    rules.append(
        MANGLE,
        Chain::Divert,
        Rule::new(Target::SetMark(tproxy.mark)),
    );
    rules.append(MANGLE, Chain::Divert, Rule::new(Target::Accept));
    let to_the_sidecar = Rule::new(Target::Tproxy {
        port: capture.inbound_port,
        mark: tproxy.mark,
        ipv6: family == Family::V6,
    });
    let to_the_sidecar = to_the_sidecar.not_to(family.loopback(capture)).tcp();
    rules.append(MANGLE, Chain::Tproxy, to_the_sidecar);
}

fn inbound(rules: &mut RuleSet, capture: &Capture, family: Family, tproxy: Tproxy) {
    rules.hook(MANGLE, Hook::Prerouting, Rule::jump(Chain::Inbound).tcp());
    let mut append = |rule| rules.append(MANGLE, Chain::Inbound, rule);
    // The sidecar's own packets to the application, which come around once more.
    append(Rule::pass().tcp().when(Match::Mark(tproxy.mark)));
    append(
        Rule::pass()
            .tcp()
            .from(family.inbound_source())
            .arriving_on("lo"),
    );
    // On lo only the sidecar's connections to the pod's own address are inbound traffic.
    append(
        Rule::pass()
            .tcp()
            .arriving_on("lo")
            .when(Match::NotMark(OUTBOUND_MARK)),
    );
    match &capture.inbound {
        Inbound::None => {}
        Inbound::AllBut(ports) => {
            for port in ports {
                append(Rule::pass().dport(Protocol::Tcp, *port));
            }
            append(known_connection(Rule::jump(Chain::Divert).tcp()));
            append(Rule::jump(Chain::Tproxy).tcp());
        }
        Inbound::Only(ports) => {
            for port in ports {
                append(known_connection(
                    Rule::jump(Chain::Divert).dport(Protocol::Tcp, *port),
                ));
                append(Rule::jump(Chain::Tproxy).dport(Protocol::Tcp, *port));
            }
        }
    }
}

fn known_connection(rule: Rule) -> Rule {
    rule.when(Match::State("RELATED,ESTABLISHED"))
}

/// Carries the sidecar's mark from its connection over to the application's answers.
fn marks(rules: &mut RuleSet, capture: &Capture, family: Family, tproxy: Tproxy) {
    let save = Rule::new(Target::SaveMark)
        .tcp()
        .when(Match::Mark(tproxy.mark));
    rules.hook(MANGLE, Hook::Prerouting, save.tagged());
    let marked = Rule::pass()
        .tcp()
        .leaving_on("lo")
        .when(Match::Mark(tproxy.mark));
    rules.hook(MANGLE, Hook::Output, marked.tagged());
    let users = capture.proxy_uids.iter().map(|uid| Owner::User(*uid));
    let groups = capture.proxy_gids.iter().map(|gid| Owner::Group(*gid));
    for owner in users.chain(groups) {
        let to_itself = Rule::new(Target::SetMark(OUTBOUND_MARK))
            .not_to(family.loopback(capture))
            .leaving_on("lo")
            .tcp()
            .owned_by(owner);
        rules.hook(MANGLE, Hook::Output, to_itself.tagged());
    }
    let restore = Rule::new(Target::RestoreMark)
        .tcp()
        .when(Match::ConnectionMark(tproxy.mark));
    rules.hook(MANGLE, Hook::Output, restore.tagged());
}
