//! Asks iptables, rule by rule, whether what was written is there.
//!
//! The comparison of texts that decides whether to write depends on how a version of iptables prints its rules; this
//! check does not, because iptables itself compares. It asks only, and only after something was written: one program
//! run a rule is slow next to the one that writes them all.

use crate::backend::Tool;
use crate::rules::{RuleSet, Table, TableRules};
use iptables::IPTables;

/// What is wrong with what is in place, one sentence each; nothing if all is well.
pub(crate) fn verify(tool: &Tool, want: &RuleSet) -> Vec<String> {
    let asker = Asker(IPTables {
        // `iptables::new` would ask whichever variant the system has chosen; ours is known, and so are its abilities.
        cmd: tool.ask_program(),
        has_check: true,
        has_wait: true,
        // `-S` prints numbers anyway and takes no `-n`.
        is_numeric: false,
    });
    want.0
        .iter()
        .flat_map(|(table, rules)| asker.table(*table, rules))
        .collect()
}

struct Asker(IPTables);

impl Asker {
    fn table(&self, table: Table, want: &TableRules) -> Vec<String> {
        let hooked = want.hooks.iter().flat_map(|(hook, hooked)| {
            let rules = hooked.first.iter().chain(&hooked.last);
            rules.map(|rule| (hook.name(), rule.to_string()))
        });
        let own = want
            .chains
            .iter()
            .flat_map(|(chain, rules)| rules.iter().map(|rule| (chain.name(), rule.to_string())));
        let missing = hooked
            .chain(own)
            .filter_map(|(chain, rule)| self.missing(table, chain, &rule));
        let crowded = want
            .chains
            .iter()
            .filter_map(|(chain, rules)| self.miscounted(table, chain.name(), rules.len()));
        missing.chain(crowded).collect()
    }

    fn missing(&self, table: Table, chain: &str, rule: &str) -> Option<String> {
        match self.0.exists(table.name(), chain, rule) {
            Ok(true) => None,
            Ok(false) => Some(format!(
                "{}: `-A {chain} {rule}` is not there",
                table.name()
            )),
            Err(source) => Some(format!(
                "{}: cannot ask for `-A {chain} {rule}`: {source}",
                table.name()
            )),
        }
    }

    fn miscounted(&self, table: Table, chain: &str, expected: usize) -> Option<String> {
        let found = match self.0.list(table.name(), chain) {
            Ok(lines) => lines.iter().filter(|line| line.starts_with("-A ")).count(),
            Err(source) => return Some(format!("{}: cannot list {chain}: {source}", table.name())),
        };
        let wrong = found != expected;
        wrong.then(|| {
            format!(
                "{}: {chain} has {found} rules instead of {expected}",
                table.name()
            )
        })
    }
}
