//! DNS capture: queries go to the sidecar's resolver, in connection tracking zones of their own.
//!
//! The application's query and the sidecar's, which forwards it, may use the same ports; in one zone the second would be
//! taken for the first and its answer lost. So what the application and the resolver say to each other is tracked in
//! zone 2, what the resolver and the name server say in zone 1.

use super::{Chain, Family, Hook, Owner, Protocol, Rule, RuleSet, Table, Target};
use crate::config::{Capture, DnsCapture};
use ipnet::IpNet;
use mesh_model::port;

/// The port of DNS.
pub(super) const PORT: u16 = 53;
const UPSTREAM_ZONE: u16 = 1;
const DOWNSTREAM_ZONE: u16 = 2;

/// Whether any query over this family is captured.
pub(super) fn captured(capture: &Capture, family: Family) -> bool {
    !servers(capture, family).is_empty()
}

/// The servers to which queries are captured; `None` stands for any.
fn servers(capture: &Capture, family: Family) -> Vec<Option<IpNet>> {
    match &capture.dns {
        None => Vec::new(),
        Some(DnsCapture::AnyServer) => vec![None],
        Some(DnsCapture::Servers(servers)) => servers
            .iter()
            .filter(|server| family.has(server))
            .map(|server| Some(IpNet::from(*server)))
            .collect(),
    }
}

pub(super) fn add(rules: &mut RuleSet, capture: &Capture, family: Family) {
    let servers = servers(capture, family);
    if servers.is_empty() {
        return;
    }
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for server in &servers {
            let query = Rule::new(Target::Redirect(port::DNS));
            let query = to_server(query, *server).dport(protocol, PORT);
            rules.append(Table::Nat, Chain::OutputDns, query);
        }
    }
    zones_of_the_sidecar(rules, capture);
    zones_of_the_application(rules, &servers);
}

fn zones_of_the_sidecar(rules: &mut RuleSet, capture: &Capture) {
    rules.hook(Table::Raw, Hook::Output, Rule::jump(Chain::OutputDns));
    let users = capture.proxy_uids.iter().map(|uid| Owner::User(*uid));
    let groups = capture.proxy_gids.iter().map(|gid| Owner::Group(*gid));
    for owner in users.chain(groups) {
        let query = zone(UPSTREAM_ZONE)
            .dport(Protocol::Udp, PORT)
            .owned_by(owner);
        rules.append(Table::Raw, Chain::OutputDns, query);
        let answer = zone(DOWNSTREAM_ZONE)
            .sport(Protocol::Udp, port::DNS)
            .owned_by(owner);
        rules.append(Table::Raw, Chain::OutputDns, answer);
    }
}

fn zones_of_the_application(rules: &mut RuleSet, servers: &[Option<IpNet>]) {
    rules.hook(Table::Raw, Hook::Prerouting, Rule::jump(Chain::Inbound));
    for server in servers {
        let query = to_server(zone(DOWNSTREAM_ZONE), *server).dport(Protocol::Udp, PORT);
        rules.append(Table::Raw, Chain::OutputDns, query);
        let answer = zone(UPSTREAM_ZONE).sport(Protocol::Udp, PORT);
        let answer = match server {
            Some(server) => answer.from(*server),
            None => answer,
        };
        rules.append(Table::Raw, Chain::Inbound, answer);
    }
}

fn zone(zone: u16) -> Rule {
    Rule::new(Target::Zone(zone))
}

fn to_server(rule: Rule, server: Option<IpNet>) -> Rule {
    match server {
        Some(server) => rule.to(server),
        None => rule,
    }
}
