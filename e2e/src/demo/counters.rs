//! Packets that each rule has seen, from `iptables-save -c`.

use std::collections::BTreeMap;

/// Packets by rule.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Reads a dump with counters. Lines that are no rules are left out.
    pub(crate) fn read(dump: &str) -> Self {
        let rule = |line: &str| {
            let (counters, rule) = line.strip_prefix('[')?.split_once("] ")?;
            let (packets, _bytes) = counters.split_once(':')?;
            Some((rule.trim_end().to_owned(), packets.parse().ok()?))
        };
        Self(dump.lines().filter_map(rule).collect())
    }

    /// Packets that `rule` has seen since `before`; `None`: there is no such rule.
    pub(crate) fn since(&self, before: &Self, rule: &str) -> Option<u64> {
        let now = self.0.get(rule)?;
        Some(now.saturating_sub(before.0.get(rule).copied().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_since_an_earlier_dump() {
        let before = Counters::read(
            "*nat\n:OUTPUT ACCEPT [9:9]\n[2:120] -A OUTPUT -p tcp -j ISTIO_OUTPUT\nCOMMIT\n",
        );
        let after =
            Counters::read("[5:300] -A OUTPUT -p tcp -j ISTIO_OUTPUT\n[1:60] -A X -j RETURN\n");
        assert_eq!(
            after.since(&before, "-A OUTPUT -p tcp -j ISTIO_OUTPUT"),
            Some(3)
        );
        assert_eq!(after.since(&before, "-A X -j RETURN"), Some(1));
        assert_eq!(after.since(&before, "-A Y -j RETURN"), None);
    }
}
