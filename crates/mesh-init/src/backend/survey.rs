//! Looks at every installed variant of iptables, and says which to use.
//!
//! A pod's namespace can hold rules of both kernel interfaces at once, and each variant of the programs sees only its
//! own. So all that are installed are asked, and the choice follows what is in place. Nothing is changed here.

use super::{Failure, Naming, Tool, programs};
use crate::config::Variant;
use crate::rules::Family;
use crate::saved::Saved;

/// From how many rules and chains on the legacy interface counts as being in use. Istio's number: a container runtime
/// may leave one or two.
const LEGACY_IN_USE: usize = 3;

/// An installed variant and what is in place there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) tool: Tool,
    pub(crate) saved: Saved,
}

/// All installed variants of a family that can be read, and why others cannot.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) found: Vec<Found>,
    pub(crate) failures: Vec<Failure>,
}

impl Survey {
    /// Looks at every installed variant; changes nothing.
    pub(crate) fn take(family: Family) -> Self {
        let mut survey = Survey {
            found: Vec::new(),
            failures: Vec::new(),
        };
        let mut seen = Vec::new();
        for naming in [Naming::Legacy, Naming::Nft, Naming::Plain] {
            match Tool::find(naming, family) {
                // The plain name is another name for one of the variants, which may be known under its own.
                Ok(Some(tool)) if !seen.contains(&tool.variant) => {
                    seen.push(tool.variant);
                    survey.look(tool);
                }
                Ok(_) => {}
                Err(failure) => survey.failures.push(failure),
            }
        }
        if survey.found.is_empty() && survey.failures.is_empty() {
            let program = programs(Naming::Plain, family).ask;
            survey.failures.push(Failure::Missing { program });
        }
        survey
    }

    fn look(&mut self, tool: Tool) {
        match tool.saved() {
            Ok(saved) => self.found.push(Found { tool, saved }),
            Err(failure) => self.failures.push(failure),
        }
    }
}

/// The variants that may be used, best first; `forced` leaves only that one.
pub(crate) fn preferred(found: &[Found], forced: Option<Variant>) -> Vec<&Found> {
    let allowed = |found: &&Found| forced.is_none_or(|variant| found.tool.variant == variant);
    let mut preferred: Vec<&Found> = found.iter().filter(allowed).collect();
    preferred.sort_by_key(|found| found.rank());
    preferred
}

/// What to say when `variant` was asked for and is not there.
pub(crate) fn not_installed(variant: Variant, family: Family) -> Failure {
    let naming = match variant {
        Variant::Legacy => Naming::Legacy,
        Variant::Nft => Naming::Nft,
    };
    Failure::Missing {
        program: programs(naming, family).ask,
    }
}

impl Found {
    /// Where our rules are, they stay; the legacy interface only if someone uses it; else nf_tables.
    fn rank(&self) -> u8 {
        match self.tool.variant {
            _ if !self.saved.owned.is_empty() => 0,
            Variant::Legacy if self.saved.entries >= LEGACY_IN_USE => 1,
            Variant::Nft => 2,
            Variant::Legacy => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(naming: Naming, variant: Variant, saved: &str) -> Found {
        let tool = Tool {
            naming,
            variant,
            family: Family::V4,
            waits: true,
        };
        Found {
            tool,
            saved: Saved::parse(saved),
        }
    }

    fn choice(found: Vec<Found>, forced: Option<Variant>) -> Vec<String> {
        preferred(&found, forced)
            .iter()
            .map(|found| found.tool.to_string())
            .collect()
    }

    const TWO: &str = "*nat\n:X - [0:0]\n-A X -j RETURN\nCOMMIT\n";
    const THREE: &str = "*nat\n:X - [0:0]\n-A X -j RETURN\n-A INPUT -j X\nCOMMIT\n";
    const OURS: &str = "*nat\n:ISTIO_OUTPUT - [0:0]\nCOMMIT\n";

    fn both(legacy: &str, nft: &str) -> Vec<Found> {
        vec![
            found(Naming::Legacy, Variant::Legacy, legacy),
            found(Naming::Nft, Variant::Nft, nft),
        ]
    }

    #[test]
    fn nft_unless_legacy_is_in_use() {
        assert_eq!(
            choice(both("", ""), None),
            ["iptables-nft", "iptables-legacy"]
        );
        assert_eq!(
            choice(both(TWO, ""), None),
            ["iptables-nft", "iptables-legacy"]
        );
        assert_eq!(
            choice(both(THREE, ""), None),
            ["iptables-legacy", "iptables-nft"]
        );
        assert_eq!(
            choice(both(THREE, THREE), None),
            ["iptables-legacy", "iptables-nft"]
        );
    }

    #[test]
    fn where_our_rules_are_they_stay() {
        assert_eq!(
            choice(both(THREE, OURS), None),
            ["iptables-nft", "iptables-legacy"]
        );
        assert_eq!(
            choice(both(OURS, ""), None),
            ["iptables-legacy", "iptables-nft"]
        );
    }

    #[test]
    fn a_forced_variant_is_the_only_one() {
        assert_eq!(
            choice(both("", ""), Some(Variant::Legacy)),
            ["iptables-legacy"]
        );
        let plain = vec![found(Naming::Plain, Variant::Nft, "")];
        assert_eq!(choice(plain, Some(Variant::Nft)), ["iptables"]);
    }
}
