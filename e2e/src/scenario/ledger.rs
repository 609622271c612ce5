//! What the servers have seen: one line for each request, across all of them.

use anyhow::{Context, Result};
use std::{collections::HashMap, fs, path::Path};

/// How often each request arrived.
pub(crate) struct Ledger(HashMap<u64, u32>);

impl Ledger {
    /// Reads the lines that servers appended to `path`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut seen = HashMap::new();
        for line in fs::read_to_string(path)
            .with_context(|| path.display().to_string())?
            .lines()
        {
            *seen
                .entry(
                    line.parse()
                        .with_context(|| format!("ledger line {line}"))?,
                )
                .or_default() += 1;
        }
        Ok(Self(seen))
    }

    /// Numbers below `sent` that never arrived.
    pub(crate) fn missing(&self, sent: u64) -> Vec<u64> {
        (0..sent)
            .filter(|number| !self.0.contains_key(number))
            .collect()
    }

    /// Numbers that arrived more than once.
    pub(crate) fn duplicated(&self) -> Vec<u64> {
        let mut twice: Vec<_> = self
            .0
            .iter()
            .filter(|(_, times)| **times > 1)
            .map(|(number, _)| *number)
            .collect();
        twice.sort_unstable();
        twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_missing_and_what_came_twice() {
        let ledger = Ledger(HashMap::from([(0, 1), (2, 2)]));
        assert_eq!((ledger.missing(3), ledger.duplicated()), (vec![1], vec![2]));
    }
}
