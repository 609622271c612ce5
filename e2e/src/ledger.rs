//! What the servers have seen: one line for each request, across all of them; and whether it is what a load has sent.

use crate::load::Report;
use anyhow::{Context, Result, ensure};
use std::{collections::HashMap, fs, path::Path};

/// How often each request arrived.
pub(crate) struct Ledger(HashMap<u64, u32>);

impl Ledger {
    /// Reads the lines that servers appended to `path`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut seen = HashMap::new();
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        for line in text.lines() {
            let number = line
                .parse()
                .with_context(|| format!("ledger line {line}"))?;
            *seen.entry(number).or_default() += 1;
        }
        Ok(Self(seen))
    }

    /// How often the request `number` arrived.
    pub(crate) fn times(&self, number: u64) -> u32 {
        self.0.get(&number).copied().unwrap_or_default()
    }

    /// Says what became of a load, whose servers kept this ledger.
    ///
    /// # Errors
    /// Unless every request succeeded and arrived once.
    pub(crate) fn judge(&self, report: &Report) -> Result<()> {
        let (missing, duplicated) = (self.missing(report.sent), self.duplicated());
        for (method, count) in &report.methods {
            println!(
                "  {method:4} sent {}, succeeded {}, failed {}",
                count.sent,
                count.succeeded,
                count.sent - count.succeeded
            );
        }
        println!(
            "  never arrived {}, arrived twice {}",
            missing.len(),
            duplicated.len()
        );
        let [p50, p99, highest] = report.latency_us;
        println!("  latency p50 {p50} µs, p99 {p99} µs, highest {highest} µs");
        ensure!(
            report.failures.is_empty(),
            "requests failed: {:#?}\n{:#?}",
            report.failures,
            report.examples
        );
        ensure!(
            missing.is_empty(),
            "answered, but never arrived: {missing:?}"
        );
        ensure!(duplicated.is_empty(), "arrived twice: {duplicated:?}");
        Ok(())
    }

    /// Numbers below `sent` that never arrived.
    fn missing(&self, sent: u64) -> Vec<u64> {
        (0..sent)
            .filter(|number| !self.0.contains_key(number))
            .collect()
    }

    /// Numbers that arrived more than once.
    fn duplicated(&self) -> Vec<u64> {
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
        assert_eq!((ledger.times(1), ledger.times(2)), (0, 2));
        assert_eq!((ledger.missing(3), ledger.duplicated()), (vec![1], vec![2]));
    }
}
