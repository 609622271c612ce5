//! The text for `iptables-restore --noflush` that leads from what is in place to what is wanted.
//!
//! One transaction a table: our rules in foreign chains go, our chains are emptied and filled anew, chains that are no
//! longer wanted go. Each table is committed as a whole, so no packet meets a half-made table, and a table that is
//! already right is not written at all. Foreign rules appear nowhere in the text.

use crate::rules::{Hook, Hooked, Protocol, Rule, RuleSet, Table, TableRules};
use crate::saved::{Owned, OwnedTable};
use std::collections::BTreeSet;
use std::fmt::Write;

/// How to get from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Write the tables that differ.
    Changes,
    /// Write every table that is wanted or in place.
    Everything,
}

/// The text that leads from `have` to `want`; `None` if there is nothing to do.
pub(crate) fn change(have: &Owned, want: &RuleSet, manner: Manner) -> Option<String> {
    let goal = Owned::from(want);
    let mut text = String::new();
    for name in tables(have, want) {
        let (old, new) = (have.0.get(&name), goal.0.get(&name));
        if old != new || manner == Manner::Everything {
            let rules = want.0.iter().find(|(table, _)| table.name() == name);
            write_table(&mut text, &name, old, rules.map(|(_, rules)| rules));
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The text `change`, with everything else shut out while it is being applied.
///
/// The tables are committed one after the other; between two commits the pod's traffic would pass by rules that belong
/// to two different configurations. The guard is put up and taken down by the same run of iptables-restore; should it
/// be cut short, the pod stays shut off until the next run, which takes the guard for a leftover of ours.
pub(crate) fn guarded(change: &str) -> String {
    let mut text = String::from("*filter\n");
    for (hook, rule) in guard() {
        line(&mut text, format_args!("-I {} 1 {rule}", hook.name()));
    }
    text.push_str("COMMIT\n");
    text.push_str(change);
    text.push_str("*filter\n");
    for (hook, rule) in guard() {
        line(&mut text, format_args!("-D {} {rule}", hook.name()));
    }
    text.push_str("COMMIT\n");
    text
}

fn guard() -> impl Iterator<Item = (Hook, Rule)> {
    Hook::GUARDED.into_iter().flat_map(|hook| {
        [Protocol::Tcp, Protocol::Udp].map(|protocol| (hook, Rule::guard(protocol)))
    })
}

/// The tables to look at, ours first in their order, then any other in which something of ours was found.
fn tables(have: &Owned, want: &RuleSet) -> BTreeSet<String> {
    let wanted = want.0.keys().map(|table: &Table| table.name().to_owned());
    have.0.keys().cloned().chain(wanted).collect()
}

fn write_table(text: &mut String, name: &str, old: Option<&OwnedTable>, new: Option<&TableRules>) {
    let (nothing_old, nothing_new) = (OwnedTable::default(), TableRules::default());
    let (old, new) = (old.unwrap_or(&nothing_old), new.unwrap_or(&nothing_new));
    let kept: BTreeSet<&str> = new.chains.keys().map(|chain| chain.name()).collect();
    let stale: Vec<&String> = old
        .chains
        .keys()
        .filter(|name| !kept.contains(name.as_str()))
        .collect();

    line(text, format_args!("*{name}"));
    for chain in &kept {
        // Makes the chain, or empties the one that is there.
        line(text, format_args!(":{chain} - [0:0]"));
    }
    for (chain, rules) in &old.hooked {
        for rule in rules {
            line(text, format_args!("-D {chain} {rule}"));
        }
    }
    for chain in &stale {
        line(text, format_args!("-F {chain}"));
    }
    for chain in &stale {
        line(text, format_args!("-X {chain}"));
    }
    for (hook, hooked) in &new.hooks {
        write_hook(text, *hook, hooked);
    }
    for (chain, rules) in &new.chains {
        for rule in rules {
            line(text, format_args!("-A {} {rule}", chain.name()));
        }
    }
    line(text, format_args!("COMMIT"));
}

fn write_hook(text: &mut String, hook: Hook, hooked: &Hooked) {
    for (place, rule) in (1..).zip(&hooked.first) {
        line(text, format_args!("-I {} {place} {rule}", hook.name()));
    }
    for rule in &hooked.last {
        line(text, format_args!("-A {} {rule}", hook.name()));
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line)
        .expect("writing to a String cannot fail");
    text.push('\n');
}

#[cfg(test)]
mod tests;
