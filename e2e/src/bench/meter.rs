//! What the proxies took of the machine while the load ran, from `/proc`.

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;
use std::{fs, time::Instant};

/// Who has which core.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cores {
    /// The proxies.
    pub(crate) proxy: usize,
    /// Load, backend, and all else.
    pub(crate) load: usize,
}

/// What was taken between start and stop.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Taken {
    /// CPU time of the proxies, user and system, in seconds.
    pub(crate) cpu_seconds: f64,
    /// The same as a share of one core.
    pub(crate) proxies_share: f64,
    /// Share of the proxies' core that was busy, with whatever.
    pub(crate) proxy_core_busy: f64,
    /// Share of the load's core that was busy, with whatever.
    pub(crate) load_core_busy: f64,
    /// Resident memory of the proxies at the end, in bytes.
    pub(crate) resident: u64,
}

/// Measures from its start to its stop.
pub(crate) struct Meter<'a> {
    proxies: &'a [u32],
    cores: Cores,
    at: Instant,
    cpu: f64,
    proxy_core: Busy,
    load_core: Busy,
}

impl<'a> Meter<'a> {
    /// Starts to measure the processes `proxies`.
    pub(crate) fn start(proxies: &'a [u32], cores: Cores) -> Result<Self> {
        Ok(Self {
            proxies,
            cores,
            at: Instant::now(),
            cpu: cpu_of(proxies)?,
            proxy_core: Busy::of(cores.proxy)?,
            load_core: Busy::of(cores.load)?,
        })
    }

    /// What was taken.
    pub(crate) fn stop(self) -> Result<Taken> {
        let seconds = self.at.elapsed().as_secs_f64();
        let cpu_seconds = cpu_of(self.proxies)? - self.cpu;
        let resident = self.proxies.iter().map(|pid| resident(*pid));
        Ok(Taken {
            cpu_seconds,
            proxies_share: cpu_seconds / seconds,
            proxy_core_busy: Busy::of(self.cores.proxy)?.since(self.proxy_core),
            load_core_busy: Busy::of(self.cores.load)?.since(self.load_core),
            resident: resident.sum::<Result<u64>>()?,
        })
    }
}

/// CPU time of all threads of the processes, in seconds.
fn cpu_of(processes: &[u32]) -> Result<f64> {
    processes.iter().map(|pid| cpu(*pid)).sum()
}

fn cpu(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let ticks = ticks(&text).with_context(|| path)?;
    let each = sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")?;
    Ok(ticks as f64 / each as f64)
}

/// utime and stime, fields 14 and 15. The second field is a name in parentheses that may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut field = || fields.next()?.parse::<u64>().ok();
    Some(field()? + field()?)
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    // The kernel's other counts of it are estimates.
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    Ok(kibibytes(&text, "Rss:").with_context(|| path)? * 1024)
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Time of a core since the machine's start, in ticks.
#[derive(Clone, Copy)]
struct Busy {
    busy: u64,
    all: u64,
}

impl Busy {
    fn of(core: usize) -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
        Self::read(&text, core).with_context(|| format!("core {core} in /proc/stat"))
    }

    /// user nice system idle iowait irq softirq steal; what guests take is in user already.
    fn read(text: &str, core: usize) -> Option<Self> {
        let name = format!("cpu{core} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name))?;
        let fields = line.split_ascii_whitespace().take(8).map(str::parse);
        let fields: Vec<u64> = fields.collect::<Result<_, _>>().ok()?;
        let idle = fields.get(3)? + fields.get(4)?;
        let all = fields.iter().sum();
        Some(Self {
            busy: all - idle,
            all,
        })
    }

    fn since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.busy.saturating_sub(earlier.busy) as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_process_with_a_strange_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 10 0 0 0 700 30 5 6 20 0 1 0 100 0 0";
        assert_eq!(ticks(stat), Some(730));
        assert_eq!(ticks("42 (a"), None);
    }

    #[test]
    fn memory_of_a_process() {
        let text =
            "00400000-7ffd [rollup]\nRss:                9512 kB\nPss:                8000 kB\n";
        assert_eq!(kibibytes(text, "Rss:"), Some(9512));
    }

    #[test]
    fn how_busy_a_core_was() {
        let before = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu1 100 0 100 700 100 0 0 0 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\n";
        let after = "cpu1 130 0 140 720 100 0 10 0 30 0\n";
        let read = |text| Busy::read(text, 1).expect("core 1");
        assert_eq!(read(after).since(read(before)), 0.8);
    }
}
