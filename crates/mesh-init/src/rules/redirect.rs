//! The nat table: what is redirected to the sidecar, and what is left alone.
//!
//! The order of the rules is their meaning, and Istio's: whoever reads `iptables-save` in a pod finds what Istio's
//! documentation describes.

use super::{Chain, Family, Hook, Match, Owner, Protocol, Rule, RuleSet, Table, Target};
use crate::config::{Capture, Inbound, Interception, OwnerGroups, Ranges};
use crate::rules::dns;
use ipnet::IpNet;

const NAT: Table = Table::Nat;

pub(super) fn add(rules: &mut RuleSet, capture: &Capture, family: Family) {
    leave_interfaces_alone(rules, capture);
    redirections(rules, capture);
    if capture.interception == Interception::Redirect {
        inbound(rules, capture);
    }
    outbound(rules, capture, family);
    virtual_machines(rules, capture, family);
}

fn leave_interfaces_alone(rules: &mut RuleSet, capture: &Capture) {
    for interface in &capture.excluded_interfaces {
        rules.hook(
            NAT,
            Hook::Prerouting,
            Rule::pass().arriving_on(interface).tagged(),
        );
        rules.hook(
            NAT,
            Hook::Output,
            Rule::pass().leaving_on(interface).tagged(),
        );
    }
}

/// The two chains that rewrite the destination, and the one port that is never captured.
fn redirections(rules: &mut RuleSet, capture: &Capture) {
    let tunnel = Rule::pass().dport(Protocol::Tcp, capture.tunnel_port);
    rules.append(NAT, Chain::Inbound, tunnel);
    let outbound = Rule::new(Target::Redirect(capture.outbound_port)).tcp();
    rules.append(NAT, Chain::Redirect, outbound);
    let inbound = Rule::new(Target::Redirect(capture.inbound_port)).tcp();
    rules.append(NAT, Chain::InRedirect, inbound);
}

fn inbound(rules: &mut RuleSet, capture: &Capture) {
    let captured = Rule::jump(Chain::InRedirect).tcp();
    match &capture.inbound {
        Inbound::None => return,
        Inbound::AllBut(ports) => {
            for port in ports {
                rules.append(
                    NAT,
                    Chain::Inbound,
                    Rule::pass().dport(Protocol::Tcp, *port),
                );
            }
            rules.append(NAT, Chain::Inbound, captured);
        }
        Inbound::Only(ports) => {
            for port in ports {
                rules.append(
                    NAT,
                    Chain::Inbound,
                    captured.clone().dport(Protocol::Tcp, *port),
                );
            }
        }
    }
    rules.hook(NAT, Hook::Prerouting, Rule::jump(Chain::Inbound).tcp());
}

fn outbound(rules: &mut RuleSet, capture: &Capture, family: Family) {
    rules.hook(NAT, Hook::Output, Rule::jump(Chain::Output).tcp());
    if dns::captured(capture, family) {
        // The jump above is for TCP alone; of UDP only queries need to pass through the chain.
        let queries = Rule::jump(Chain::Output).dport(Protocol::Udp, dns::PORT);
        rules.hook(NAT, Hook::Output, queries);
    }
    let mut append = |rule| rules.append(NAT, Chain::Output, rule);
    for port in &capture.outbound.excluded_ports {
        append(Rule::pass().dport(Protocol::Tcp, *port));
        append(Rule::pass().dport(Protocol::Udp, *port));
    }
    // The sidecar handing an inbound connection to the application.
    append(Rule::pass().from(family.inbound_source()).leaving_on("lo"));
    for uid in &capture.proxy_uids {
        the_sidecar(&mut append, capture, family, Owner::User(*uid));
    }
    for gid in &capture.proxy_gids {
        the_sidecar(&mut append, capture, family, Owner::Group(*gid));
    }
    owner_groups(&mut append, &capture.outbound.groups);
    if dns::captured(capture, family) {
        append(Rule::jump(Chain::OutputDns));
    }
    append(Rule::pass().to(family.loopback(capture)));
    destinations(&mut append, capture, family);
}

/// The three rules for connections of, and not of, one identity of the sidecar.
fn the_sidecar(append: &mut impl FnMut(Rule), capture: &Capture, family: Family, owner: Owner) {
    let dns = capture.dns.is_some();
    // The application called its own Service: the sidecar's connection to the pod's own address is inbound traffic.
    let to_itself = Rule::jump(Chain::InRedirect)
        .not_to(family.loopback(capture))
        .leaving_on("lo")
        .tcp();
    append(
        match owner {
            // A query forwarded to a server on this host is not inbound traffic.
            Owner::User(_) if dns => {
                to_itself.when(Match::NotToPorts(vec![dns::PORT, capture.tunnel_port]))
            }
            _ => to_itself.when(Match::NotToPort(Protocol::Tcp, capture.tunnel_port)),
        }
        .owned_by(owner),
    );
    // The application talking to itself without a Service. If loopback ranges are to be captured, it is not let off.
    if !captures_loopback(&capture.outbound.ranges) {
        let local = Rule::pass().leaving_on("lo");
        append(
            match dns {
                true => local.when(Match::NotToPort(Protocol::Tcp, dns::PORT)),
                false => local,
            }
            .when(Match::NotOwner(owner)),
        );
    }
    // What the sidecar sends out has been through it already.
    append(Rule::pass().owned_by(owner));
}

fn captures_loopback(ranges: &Ranges) -> bool {
    match ranges {
        Ranges::All => false,
        Ranges::Only(ranges) => ranges.iter().any(|range| range.addr().is_loopback()),
    }
}

fn owner_groups(append: &mut impl FnMut(Rule), groups: &OwnerGroups) {
    match groups {
        OwnerGroups::AllBut(groups) => {
            for group in groups {
                append(Rule::pass().owned_by(Owner::Group(*group)));
            }
        }
        OwnerGroups::Only(groups) => append(groups.iter().fold(Rule::pass(), |rule, group| {
            rule.when(Match::NotOwner(Owner::Group(*group)))
        })),
    }
}

fn destinations(append: &mut impl FnMut(Rule), capture: &Capture, family: Family) {
    for range in of_family(&capture.outbound.excluded_ranges, family) {
        append(Rule::pass().to(range));
    }
    for port in &capture.outbound.ports {
        append(Rule::jump(Chain::Redirect).dport(Protocol::Tcp, *port));
    }
    for range in included(capture, family) {
        append(redirect_to(range));
    }
}

/// The destination ranges to capture; `None` stands for all.
fn included(capture: &Capture, family: Family) -> Vec<Option<IpNet>> {
    match &capture.outbound.ranges {
        Ranges::All => vec![None],
        Ranges::Only(ranges) => of_family(ranges, family).map(Some).collect(),
    }
}

fn redirect_to(range: Option<IpNet>) -> Rule {
    let rule = Rule::jump(Chain::Redirect);
    match range {
        Some(range) => rule.to(range),
        None => rule,
    }
}

fn of_family(ranges: &[IpNet], family: Family) -> impl Iterator<Item = IpNet> {
    ranges
        .iter()
        .filter(move |range| family.has(&range.addr()))
        .copied()
}

/// What a virtual machine sends arrives here on its interface, and is outbound all the same.
///
/// Added last so that it ends up on top: first the ranges to capture, then “everything else passes”.
fn virtual_machines(rules: &mut RuleSet, capture: &Capture, family: Family) {
    for interface in &capture.virtual_interfaces {
        rules.hook_first(
            NAT,
            Hook::Prerouting,
            Rule::pass().arriving_on(interface).tagged(),
        );
    }
    for range in included(capture, family) {
        for interface in &capture.virtual_interfaces {
            rules.hook_first(
                NAT,
                Hook::Prerouting,
                redirect_to(range).arriving_on(interface),
            );
        }
    }
}
