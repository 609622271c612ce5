//! What the rules need beside them: an address on `lo` for IPv6, and for TPROXY a route for marked packets.
//!
//! Set by `ip` from iproute2, after looking whether it is there, so that a second run changes nothing. IPv4 needs no
//! address: all of 127.0.0.0/8 is local.

use crate::backend::{Failure, ip};
use crate::config::Tproxy;
use crate::rules::Family;
use std::fmt;

/// ::6 as `/proc/net/if_inet6` writes it.
const INBOUND_SOURCE_HEX: &str = "00000000000000000000000000000006";

/// One thing that `ip` keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// ::6 on `lo`, where the sidecar connects from when it hands an IPv6 connection to the application.
    InboundSource,
    /// Marked packets are looked up in our routing table.
    Rule(Family, Tproxy),
    /// Our routing table delivers to this host.
    Route(Family, Tproxy),
}

/// One change, which displays as the command that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    verb: &'static str,
    entry: Entry,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb;
        match self.entry {
            Entry::InboundSource => write!(f, "ip -6 address {verb} ::6/128 dev lo"),
            Entry::Rule(family, Tproxy { mark, route_table }) => {
                write!(
                    f,
                    "ip {} rule {verb} fwmark {mark} lookup {route_table}",
                    option(family)
                )
            }
            Entry::Route(family, Tproxy { route_table, .. }) => {
                write!(
                    f,
                    "ip {} route {verb} local default dev lo table {route_table}",
                    option(family)
                )
            }
        }
    }
}

impl Step {
    const fn add(entry: Entry) -> Self {
        Self { verb: "add", entry }
    }

    const fn remove(entry: Entry) -> Self {
        Self { verb: "del", entry }
    }

    fn take(self) -> Result<(), Failure> {
        let command = self.to_string();
        let args: Vec<&str> = command.split(' ').skip(1).collect();
        ip(&args).map(drop)
    }
}

const fn option(family: Family) -> &'static str {
    match family {
        Family::V4 => "-4",
        Family::V6 => "-6",
    }
}

/// Every step on a pod that has nothing of it.
pub(crate) fn all(families: &[Family], tproxy: Option<Tproxy>) -> Vec<Step> {
    wanted(families, tproxy).map(Step::add).collect()
}

/// Every step that takes away what [`all`] has added.
pub(crate) fn all_removed(families: &[Family], tproxy: Option<Tproxy>) -> Vec<Step> {
    wanted(families, tproxy).map(Step::remove).collect()
}

fn wanted(families: &[Family], tproxy: Option<Tproxy>) -> impl Iterator<Item = Entry> {
    let address = families
        .contains(&Family::V6)
        .then_some(Entry::InboundSource);
    let routes = families.iter().flat_map(move |family| {
        let entries = tproxy.map(|tproxy| of_tproxy(*family, tproxy));
        entries.into_iter().flatten()
    });
    address.into_iter().chain(routes)
}

fn of_tproxy(family: Family, tproxy: Tproxy) -> [Entry; 2] {
    [Entry::Rule(family, tproxy), Entry::Route(family, tproxy)]
}

/// Adds what is missing and returns what that was.
pub(crate) fn apply(families: &[Family], tproxy: Option<Tproxy>) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for entry in wanted(families, tproxy) {
        match count(entry)? {
            0 => steps.push(Step::add(entry)),
            // The kernel takes the same rule twice, and another tool may have run twice. One is enough.
            more => steps.extend((1..more).map(|_| Step::remove(entry))),
        }
    }
    take(steps)
}

/// Removes the TPROXY routes of either family and returns what that was.
pub(crate) fn remove(tproxy: Tproxy) -> Result<Vec<Step>, Failure> {
    remove_all(
        [Family::V4, Family::V6]
            .into_iter()
            .flat_map(|family| of_tproxy(family, tproxy)),
    )
}

/// Removes the address on `lo` and returns what that was.
pub(crate) fn remove_address() -> Result<Vec<Step>, Failure> {
    remove_all([Entry::InboundSource])
}

fn remove_all(entries: impl IntoIterator<Item = Entry>) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for entry in entries {
        steps.extend((0..count(entry)?).map(|_| Step::remove(entry)));
    }
    take(steps)
}

fn take(steps: Vec<Step>) -> Result<Vec<Step>, Failure> {
    steps.iter().try_for_each(|step| step.take())?;
    Ok(steps)
}

/// How many there are of an entry.
fn count(entry: Entry) -> Result<usize, Failure> {
    Ok(match entry {
        Entry::InboundSource => ipv6_addresses()
            .lines()
            .filter(|line| line.starts_with(INBOUND_SOURCE_HEX))
            .count(),
        Entry::Rule(Family::V6, _) | Entry::Route(Family::V6, _) if ipv6_addresses().is_empty() => {
            0
        }
        Entry::Rule(family, tproxy) => rules(&ip(&[option(family), "rule", "show"])?, tproxy),
        Entry::Route(family, tproxy) => {
            let all = ["route", "show", "table", "all", "type", "local"];
            routes(&ip(&[&[option(family)], &all[..]].concat())?, tproxy)
        }
    })
}

/// The addresses of all interfaces; empty if the kernel has no IPv6, of which `ip -6` would complain.
///
/// Read from the kernel, so that a pod without IPv6 needs no `ip`; and from the thread's own file, because another
/// thread of the process may be in another namespace.
fn ipv6_addresses() -> String {
    std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default()
}

/// Counts our rule in the output of `ip rule show`: `32765: from all fwmark 0x539 lookup 133`.
fn rules(shown: &str, Tproxy { mark, route_table }: Tproxy) -> usize {
    let ours = format!("from all fwmark {mark:#x} lookup {route_table}");
    shown
        .lines()
        .filter(|line| {
            line.split_once(':')
                .is_some_and(|(_, rule)| rule.trim() == ours)
        })
        .count()
}

/// Counts our route in the output of `ip route show table all type local`: `local default dev lo table 133 scope host`.
///
/// All tables are asked for, because asking for one that does not exist is an error.
fn routes(shown: &str, Tproxy { route_table, .. }: Tproxy) -> usize {
    let table = route_table.to_string();
    let ours = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words
            .windows(2)
            .any(|pair| pair == ["table", table.as_str()])
            && words
                .windows(3)
                .any(|three| three == ["default", "dev", "lo"])
    };
    shown.lines().filter(ours).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TPROXY: Tproxy = Tproxy {
        mark: 1337,
        route_table: 133,
    };

    #[test]
    fn steps_are_commands() {
        let steps: Vec<String> = all(&[Family::V4, Family::V6], Some(TPROXY))
            .iter()
            .map(Step::to_string)
            .collect();
        let expected = [
            "ip -6 address add ::6/128 dev lo",
            "ip -4 rule add fwmark 1337 lookup 133",
            "ip -4 route add local default dev lo table 133",
            "ip -6 rule add fwmark 1337 lookup 133",
            "ip -6 route add local default dev lo table 133",
        ];
        assert_eq!(steps, expected);
        assert!(all(&[Family::V4], None).is_empty());
    }

    #[test]
    fn our_rule_is_counted() {
        let shown = "0:\tfrom all lookup local\n32764:\tfrom all fwmark 0x539 lookup 133\n\
                     32765:\tfrom all fwmark 0x539 lookup 133\n32766:\tfrom all fwmark 0x539/0xff lookup 133\n\
                     32767:\tfrom all lookup main\n";
        assert_eq!(rules(shown, TPROXY), 2);
    }

    #[test]
    fn our_route_is_counted() {
        let shown = "local default dev lo table 133 scope host\nlocal 127.0.0.1 dev lo table local proto kernel\n\
                     local default dev lo table 134 scope host\n";
        assert_eq!(routes(shown, TPROXY), 1);
    }
}
