//! What a proxy holds and burns, read from /proc.

use crate::stage::Stage;
use anyhow::{Context, Result};
use std::fs;

/// What a proxy holds, and what it has burnt so far.
#[derive(Debug)]
pub(super) struct Footprint {
    /// Anonymous memory.
    pub(super) resident_kib: u64,
    /// Open descriptors.
    pub(super) descriptors: usize,
    /// Time on a core since it began, in hundredths of a second (`USER_HZ`).
    pub(super) cpu_ticks: u64,
}

impl Footprint {
    /// That of the sidecar of `pod`.
    pub(super) fn of(stage: &Stage, pod: &str) -> Result<Self> {
        let process = stage
            .pod(pod)?
            .process("istio-proxy")
            .context("no proxy runs")?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
        Ok(Self {
            resident_kib: resident.context("RssAnon")?.parse()?,
            descriptors: fs::read_dir(format!("/proc/{process}/fd"))?.count(),
            cpu_ticks: ticks(&fs::read_to_string(format!("/proc/{process}/stat"))?)
                .context("utime and stime")?,
        })
    }

    /// Within 10 % or 2 MiB of `before`, and no descriptor more.
    pub(super) fn is_back(&self, before: &Self) -> bool {
        let allowed = before.resident_kib + (before.resident_kib / 10).max(2048);
        self.resident_kib <= allowed && self.descriptors <= before.descriptors
    }
}

/// `utime` plus `stime`. Fields are counted from the end of the name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_behind_a_name_with_blanks() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 10 0 0 0 31 11 5 5 20 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) S 1"), None);
    }
}
