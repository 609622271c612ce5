//! The rules as data: which chains there are, what stands in them, and where the kernel's own chains jump in.
//!
//! [`RuleSet::capture`] is a function of what to capture and of the address family, with no look at the machine.
//! `restore` makes text of the result and compares it with what is in place. A rule is written the way
//! `iptables-save` prints it, so that comparing is comparing text.
//!
//! Each variant of the capture has a file: `redirect` the nat table that is always there, `tproxy` the mangle table
//! of TPROXY mode, `dns` the capture of DNS queries.

use crate::config::Capture;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use mesh_model::port;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

mod dns;
mod redirect;
mod rule;
mod tproxy;

pub(crate) use rule::OWNER_TAG;
pub use rule::{Match, Owner, Protocol, Rule, Side, Target};

/// An address family; each has its own tables in the kernel and its own programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

impl Family {
    /// The families whose traffic is captured.
    pub fn captured(capture: &Capture) -> &'static [Family] {
        match capture.ipv6 {
            true => &[Family::V4, Family::V6],
            false => &[Family::V4],
        }
    }

    /// Where the sidecar connects from when it hands an inbound connection to the application.
    ///
    /// 127.0.0.6 and ::6, as in Istio: what comes from there is for the application and never captured again.
    fn inbound_source(self) -> IpNet {
        match self {
            Family::V4 => Ipv4Net::from(port::INBOUND_SOURCE_V4).into(),
            Family::V6 => Ipv6Net::from(port::INBOUND_SOURCE_V6).into(),
        }
    }

    /// The destinations that are the pod talking to itself.
    fn loopback(self, capture: &Capture) -> IpNet {
        match self {
            Family::V4 => capture.loopback_v4.into(),
            Family::V6 => Ipv6Net::from(Ipv6Addr::LOCALHOST).into(),
        }
    }

    fn has(self, address: &IpAddr) -> bool {
        address.is_ipv4() == (self == Family::V4)
    }
}

/// A table of netfilter, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Nothing of the capture; only the guard of `--reconcile`.
    Filter,
    /// Marks and TPROXY.
    Mangle,
    /// Redirection.
    Nat,
    /// Before connection tracking.
    Raw,
}

impl Table {
    /// Its name in iptables.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Filter => "filter",
            Table::Mangle => "mangle",
            Table::Nat => "nat",
            Table::Raw => "raw",
        }
    }
}

/// A chain of the kernel's, into which the capture hooks itself. In the order in which `iptables-save` prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Packets that arrive.
    Prerouting,
    /// Packets for this host.
    Input,
    /// Packets passing through.
    Forward,
    /// Packets of this host's programs.
    Output,
}

impl Hook {
    /// The chains that a guard must close for nothing to pass: all that arrives, passes through and leaves.
    pub(crate) const GUARDED: [Hook; 3] = [Hook::Input, Hook::Forward, Hook::Output];

    /// Its name in iptables.
    pub const fn name(self) -> &'static str {
        match self {
            Hook::Prerouting => "PREROUTING",
            Hook::Input => "INPUT",
            Hook::Forward => "FORWARD",
            Hook::Output => "OUTPUT",
        }
    }
}

/// A chain of ours, by Istio's name for it. Ordered by name, as `iptables-save` prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// Sends packets of known TPROXY connections to the local socket.
    Divert,
    /// Drops what connection tracking cannot place.
    Drop,
    /// Decides about arriving connections.
    Inbound,
    /// Redirects to the sidecar's inbound port.
    InRedirect,
    /// Decides about connections that the pod opens.
    Output,
    /// Decides about DNS queries that the pod sends.
    OutputDns,
    /// Redirects to the sidecar's outbound port.
    Redirect,
    /// Hands new inbound connections to the sidecar's transparent socket.
    Tproxy,
}

impl Chain {
    /// All of them, in order.
    pub const ALL: [Chain; 8] = [
        Chain::Divert,
        Chain::Drop,
        Chain::Inbound,
        Chain::InRedirect,
        Chain::Output,
        Chain::OutputDns,
        Chain::Redirect,
        Chain::Tproxy,
    ];

    /// Its name in iptables.
    pub const fn name(self) -> &'static str {
        match self {
            Chain::Divert => "ISTIO_DIVERT",
            Chain::Drop => "ISTIO_DROP",
            Chain::Inbound => "ISTIO_INBOUND",
            Chain::InRedirect => "ISTIO_IN_REDIRECT",
            Chain::Output => "ISTIO_OUTPUT",
            Chain::OutputDns => "ISTIO_OUTPUT_DNS",
            Chain::Redirect => "ISTIO_REDIRECT",
            Chain::Tproxy => "ISTIO_TPROXY",
        }
    }

    /// Whether a chain of this name is ours, whoever made it: an earlier run, or Istio's own tool.
    pub(crate) fn is_ours(name: &str) -> bool {
        Chain::ALL.iter().any(|chain| chain.name() == name)
    }
}

/// What is hooked into one of the kernel's chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooked {
    /// Before everything that is there, top first.
    pub first: Vec<Rule>,
    /// After everything that is there.
    pub last: Vec<Rule>,
}

/// What is ours in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableRules {
    /// Our rules in the kernel's chains.
    pub hooks: BTreeMap<Hook, Hooked>,
    /// Our chains.
    pub chains: BTreeMap<Chain, Vec<Rule>>,
}

/// All that is ours in one address family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(pub BTreeMap<Table, TableRules>);

impl RuleSet {
    /// The rules that capture what `capture` says.
    pub fn capture(capture: &Capture, family: Family) -> Self {
        let mut rules = RuleSet::default();
        redirect::add(&mut rules, capture, family);
        tproxy::add(&mut rules, capture, family);
        dns::add(&mut rules, capture, family);
        rules
    }

    /// Adds a rule at the end of one of our chains.
    fn append(&mut self, table: Table, chain: Chain, rule: Rule) {
        let table = self.0.entry(table).or_default();
        table.chains.entry(chain).or_default().push(rule);
    }

    /// Hooks a rule in after everything that is there.
    fn hook(&mut self, table: Table, hook: Hook, rule: Rule) {
        self.hooked(table, hook).last.push(rule);
    }

    /// Hooks a rule in before everything that is there, earlier calls of this included.
    fn hook_first(&mut self, table: Table, hook: Hook, rule: Rule) {
        self.hooked(table, hook).first.insert(0, rule);
    }

    fn hooked(&mut self, table: Table, hook: Hook) -> &mut Hooked {
        self.0
            .entry(table)
            .or_default()
            .hooks
            .entry(hook)
            .or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_ordered_by_name() {
        assert!(Chain::ALL.is_sorted());
        assert!(Chain::ALL.map(Chain::name).is_sorted());
    }

    #[test]
    fn only_whole_names_are_ours() {
        assert!(Chain::is_ours("ISTIO_OUTPUT"));
        assert!(!Chain::is_ours("ISTIO_OUTPUT_OF_SOMEONE"));
        assert!(!Chain::is_ours("OUTPUT"));
    }
}
