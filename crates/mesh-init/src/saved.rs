//! What is in place: the output of `iptables-save`, and which part of it is ours.
//!
//! Ours are the chains with our names, every rule that jumps to one of them wherever it stands, and the rules with our
//! tag. All else is someone else's and is not even kept.

use crate::rules::{Chain, OWNER_TAG, RuleSet};
use std::collections::BTreeMap;

/// Our part of one address family's tables, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owned(pub(crate) BTreeMap<String, OwnedTable>);

/// Our part of one table. Chains that hold nothing of ours do not appear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnedTable {
    /// Our rules in chains that are not ours, by chain, in order.
    pub(crate) hooked: BTreeMap<String, Vec<String>>,
    /// Our chains and the rules in them.
    pub(crate) chains: BTreeMap<String, Vec<String>>,
}

impl Owned {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has_chain(&self, table: &str, chain: Chain) -> bool {
        self.0
            .get(table)
            .is_some_and(|table| table.chains.contains_key(chain.name()))
    }

    /// How many rules there are where, which does not depend on how a version of iptables prints them.
    pub(crate) fn shape(&self) -> BTreeMap<(&str, &str), usize> {
        let chains = self.0.iter().flat_map(|(name, table)| {
            let chains = table.hooked.iter().chain(&table.chains);
            chains.map(move |(chain, rules)| ((name.as_str(), chain.as_str()), rules.len()))
        });
        chains.collect()
    }

    fn table(&mut self, name: &str) -> &mut OwnedTable {
        self.0.entry(name.to_owned()).or_default()
    }
}

/// What `iptables-save` printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Our part.
    pub(crate) owned: Owned,
    /// How many rules and chains there are beyond the kernel's own empty chains.
    pub(crate) entries: usize,
}

impl Saved {
    pub(crate) fn parse(text: &str) -> Self {
        let mut saved = Saved::default();
        let mut table = "";
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            } else if let Some(chain) = line.strip_prefix(':') {
                saved.chain(table, chain);
            } else if let Some(rule) = line.strip_prefix("-A ") {
                saved.rule(table, rule);
            }
        }
        saved
    }

    /// Takes a line like `NAME POLICY [packets:bytes]`; chains made by users have the policy `-`.
    fn chain(&mut self, table: &str, line: &str) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        if words.next() == Some("-") {
            self.entries += 1;
        }
        if Chain::is_ours(name) {
            self.owned
                .table(table)
                .chains
                .entry(name.to_owned())
                .or_default();
        }
    }

    fn rule(&mut self, table: &str, line: &str) {
        self.entries += 1;
        let (chain, spec) = line.split_once(' ').unwrap_or((line, ""));
        if Chain::is_ours(chain) {
            let chains = &mut self.owned.table(table).chains;
            chains
                .entry(chain.to_owned())
                .or_default()
                .push(spec.to_owned());
        } else if is_ours(spec) {
            let hooked = &mut self.owned.table(table).hooked;
            hooked
                .entry(chain.to_owned())
                .or_default()
                .push(spec.to_owned());
        }
    }
}

/// Whether a rule outside of our chains is ours: it jumps to one of them, or carries our tag.
fn is_ours(spec: &str) -> bool {
    let words = words(spec);
    words.windows(2).any(|pair| match (pair[0], pair[1]) {
        ("-j" | "-g", target) => Chain::is_ours(target),
        ("--comment", comment) => comment == OWNER_TAG,
        _ => false,
    })
}

/// The words of a rule; a quoted string is one word, so that nobody's comment is taken for a jump.
fn words(spec: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = spec.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (word, after) = quoted.split_at(closing_quote(quoted));
                (word, after.strip_prefix('"').unwrap_or(after))
            }
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Where a quoted string ends: at the first quote without a backslash.
fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    let end = text.find(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    end.unwrap_or(text.len())
}

impl From<&RuleSet> for Owned {
    /// What will be ours once `rules` are in place.
    fn from(rules: &RuleSet) -> Self {
        let mut owned = Owned::default();
        for (table, rules) in &rules.0 {
            let table = owned.table(table.name());
            for (hook, hooked) in &rules.hooks {
                let texts = hooked
                    .first
                    .iter()
                    .chain(&hooked.last)
                    .map(ToString::to_string);
                table.hooked.insert(hook.name().to_owned(), texts.collect());
            }
            for (chain, rules) in &rules.chains {
                let texts = rules.iter().map(ToString::to_string);
                table
                    .chains
                    .insert(chain.name().to_owned(), texts.collect());
            }
        }
        owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = r#"# Generated by iptables-save v1.8.9 on Mon Nov 23 16:21:56 2026
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:CUSTOM - [0:0]
-A INPUT -m comment --comment "see -j ISTIO_OUTPUT and \"quotes\" --comment mesh-init" -j CUSTOM
-A CUSTOM -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [54:3240]
:ISTIO_INBOUND - [0:0]
:ISTIO_LOOKALIKE - [0:0]
:ISTIO_REDIRECT - [0:0]
-A PREROUTING -i eth1 -m comment --comment mesh-init -j RETURN
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A PREROUTING -p tcp -j ISTIO_LOOKALIKE
-A ISTIO_LOOKALIKE -p tcp -g ISTIO_REDIRECT
-A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN
COMMIT
"#;

    #[test]
    fn ours_is_told_from_foreign() {
        let saved = Saved::parse(SAVED);
        assert_eq!(saved.owned.0.keys().collect::<Vec<_>>(), ["nat"]);
        let nat = &saved.owned.0["nat"];
        assert_eq!(
            nat.chains["ISTIO_INBOUND"],
            ["-p tcp -m tcp --dport 15008 -j RETURN"]
        );
        assert!(nat.chains["ISTIO_REDIRECT"].is_empty());
        assert_eq!(nat.chains.len(), 2);
        let expected = [
            "-i eth1 -m comment --comment mesh-init -j RETURN",
            "-p tcp -j ISTIO_INBOUND",
            "-p tcp -j ISTIO_INBOUND",
        ];
        assert_eq!(nat.hooked["PREROUTING"], expected);
        assert_eq!(nat.hooked["ISTIO_LOOKALIKE"], ["-p tcp -g ISTIO_REDIRECT"]);
        assert_eq!(nat.hooked.len(), 2);
    }

    #[test]
    fn the_kernels_empty_chains_do_not_count_as_entries() {
        assert_eq!(Saved::parse(SAVED).entries, 3 + 9);
        assert_eq!(
            Saved::parse("*nat\n:INPUT ACCEPT [0:0]\nCOMMIT\n").entries,
            0
        );
        assert_eq!(Saved::parse(""), Saved::default());
    }
}
