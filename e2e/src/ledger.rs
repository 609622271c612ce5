//! What the servers have seen: one line for each request, across all of them; and whether it is what a load has sent.

use crate::load::Report;
use anyhow::{Context, Result, ensure};
use std::{collections::HashMap, fs, ops::Range, path::Path};

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
        self.judge_but(report, None)
    }

    /// As [`Ledger::judge`], but failures that are `unavoidable` are only told.
    pub(crate) fn judge_but(
        &self,
        report: &Report,
        unavoidable: Option<Unavoidable>,
    ) -> Result<()> {
        let missing = self.missing(report.first..report.first + report.sent);
        let duplicated = self.duplicated();
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
        let failed: u64 = report.failures.values().sum();
        let excused = failed > 0 && unavoidable.is_some_and(|u| u.covers(report));
        ensure!(
            failed == 0 || excused,
            "requests failed: {:#?}\n{:#?}",
            report.failures,
            report.examples
        );
        if excused {
            println!("  UNAVOIDABLE, {failed} failed: {:#?}", report.examples);
        }
        ensure!(
            missing.len() as u64 <= failed,
            "answered, but never arrived: {missing:?}"
        );
        ensure!(duplicated.is_empty(), "arrived twice: {duplicated:?}");
        Ok(())
    }

    /// Those of `numbers` that never arrived.
    fn missing(&self, numbers: Range<u64>) -> Vec<u64> {
        numbers
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

/// A failure that no proxy can keep from its client.
#[derive(Clone, Copy)]
pub(crate) struct Unavoidable {
    /// Method of the request.
    pub(crate) method: &'static str,
    /// What the answer contains.
    pub(crate) answer: &'static str,
    /// How many there may be.
    pub(crate) most: u64,
}

impl Unavoidable {
    /// Whether all failures of `report` are of this kind, and few.
    fn covers(self, report: &Report) -> bool {
        let mut others = report.methods.iter().filter(|(m, _)| *m != self.method);
        others.all(|(_, count)| count.sent == count.succeeded)
            && report.failures.values().sum::<u64>() <= self.most
            && report.failures.keys().all(|why| why.contains(self.answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Count;

    #[test]
    fn only_what_is_unavoidable_is_excused() {
        let closed = Unavoidable {
            method: "POST",
            answer: "termination",
            most: 1,
        };
        let report = |method: &str, why: &str| Report {
            sent: 1,
            methods: [(
                method.to_owned(),
                Count {
                    sent: 1,
                    succeeded: 0,
                },
            )]
            .into(),
            failures: [(why.to_owned(), 1)].into(),
            ..Report::default()
        };
        let ledger = Ledger(HashMap::new());
        let excused = |report: &Report| ledger.judge_but(report, Some(closed)).is_ok();
        assert!(excused(&report("POST", "503: connection termination")));
        let mut many = report("POST", "503: connection termination");
        many.failures.insert("termination, again".to_owned(), 1);
        assert!(!excused(&many));
        assert!(!excused(&report("GET", "503: connection termination")));
        assert!(!excused(&report("POST", "503: no healthy upstream")));
        assert!(
            ledger
                .judge(&report("POST", "503: connection termination"))
                .is_err()
        );
    }

    #[test]
    fn tells_what_is_missing_and_what_came_twice() {
        let ledger = Ledger(HashMap::from([(0, 1), (2, 2)]));
        assert_eq!((ledger.times(1), ledger.times(2)), (0, 2));
        assert_eq!(
            (ledger.missing(0..3), ledger.duplicated()),
            (vec![1], vec![2])
        );
    }
}
