//! All that was found: samples, what is read from them, and their JSON for scripts.

mod table; // the same for people

use super::{
    figures::{Figure, ratio},
    job::{Job, Subject},
    load::Load,
    meter::{Cores, Taken},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{path::Path, process::Command};

const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// One measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// What the load generator has seen.
    pub(crate) load: Load,
    /// What the proxies took.
    pub(crate) taken: Taken,
    /// Share of the requests in the access log, of the proxy that logged least; `None` without a proxy.
    pub(crate) logged: Option<f64>,
}

/// The measurements of one subject at one job.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The job.
    pub(crate) job: Job,
    /// The subject.
    pub(crate) subject: Subject,
    /// One a round.
    pub(crate) samples: Vec<Sample>,
}

/// Resident memory of a proxy at rest, in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    /// The subject.
    pub(crate) subject: Subject,
    /// The proxy.
    pub(crate) proxy: u64,
    /// The agent beside it, if it needs one for its certificate.
    pub(crate) agent: Option<u64>,
}

/// What a column shows.
struct Column {
    name: &'static str,
    /// Whether more of it is better.
    more: bool,
    value: fn(&Sample) -> f64,
    decimals: usize,
}

const COLUMNS: [Column; 5] = [
    column("req/s", true, 0, |s| {
        s.load.succeeded as f64 / s.load.seconds
    }),
    column("p50 µs", false, 0, |s| s.load.p50_us),
    column("p99 µs", false, 0, |s| s.load.p99_us),
    column("CPU µs/req", false, 1, |s| {
        s.taken.cpu_seconds * 1e6 / (s.load.succeeded + s.load.failed) as f64
    }),
    column("RSS MiB", false, 1, |s| s.taken.resident as f64 / MEBIBYTE),
];

const fn column(
    name: &'static str,
    more: bool,
    decimals: usize,
    value: fn(&Sample) -> f64,
) -> Column {
    Column {
        name,
        more,
        value,
        decimals,
    }
}

impl Row {
    /// Requests that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.samples.iter().map(|sample| sample.load.failed).sum()
    }

    fn values(&self, value: fn(&Sample) -> f64) -> impl Iterator<Item = f64> {
        self.samples.iter().map(value)
    }

    fn median(&self, value: fn(&Sample) -> f64) -> f64 {
        Figure::of(self.values(value)).map_or(0.0, |figure| figure.median)
    }
}

/// All that was found.
#[derive(Debug)]
pub(crate) struct Report {
    rounds: u32,
    seconds: u32,
    cores: Cores,
    envoy: Option<String>,
    /// Jobs that could not be measured, and why.
    pub(crate) skipped: Vec<String>,
    /// Memory at rest.
    pub(crate) idle: Vec<Idle>,
    /// The measurements; those of a job stand together.
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Of a run that is about to start.
    pub(crate) fn new(rounds: u32, seconds: u32, cores: Cores, envoy: Option<&Path>) -> Self {
        Self {
            rounds,
            seconds,
            cores,
            envoy: envoy.map(version),
            skipped: Vec::new(),
            idle: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The figures for scripts.
    pub(crate) fn json(&self) -> Value {
        let ratios: Vec<_> = self
            .jobs()
            .filter_map(|rows| {
                let of = |column: &Column| Some((column.name, advantage(rows, column)?));
                let columns: Option<serde_json::Map<_, _>> = COLUMNS
                    .iter()
                    .map(|c| of(c).map(|(name, figure)| (name.to_owned(), json!(figure))))
                    .collect();
                Some(json!({"job": rows.first()?.job, "advantage": columns?}))
            })
            .collect();
        json!({
            "rounds": self.rounds,
            "seconds": self.seconds,
            "cores": self.cores,
            "envoy": self.envoy,
            "optimized": !cfg!(debug_assertions),
            "skipped": self.skipped,
            "idle": self.idle,
            "rows": self.rows,
            "ratios": ratios,
        })
    }

    /// The rows of each job.
    fn jobs(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|a, b| a.job == b.job)
    }
}

/// How many times better mesh-proxy is than Envoy.
fn advantage(rows: &[Row], column: &Column) -> Option<Figure> {
    let values = |subject| {
        let row = rows.iter().find(|row| row.subject == subject)?;
        Some(row.values(column.value))
    };
    let (envoy, ours) = (values(Subject::Envoy)?, values(Subject::MeshProxy)?);
    if column.more {
        ratio(ours, envoy)
    } else {
        ratio(envoy, ours)
    }
}

/// What Envoy says of its version.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    // `/path/of/envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
    let text = text.unwrap_or_default();
    let parts = text.split_once("version:").map(|(_, parts)| parts);
    let number = parts.and_then(|parts| parts.split('/').nth(1));
    format!("Envoy {}", number.unwrap_or("of unknown version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of two rounds of two seconds; `busy` are the shares of the proxies and of both cores.
    pub(super) fn row(subject: Subject, requests: [u64; 2], busy: [f64; 3]) -> Row {
        let [proxies_share, proxy_core_busy, load_core_busy] = busy;
        let sample = |succeeded| Sample {
            load: Load {
                succeeded,
                failed: 0,
                seconds: 2.0,
                p50_us: 100.0,
                p99_us: 500.0,
            },
            taken: Taken {
                cpu_seconds: 2.0 * proxies_share,
                proxies_share,
                proxy_core_busy,
                load_core_busy,
                resident: 8 << 20,
            },
            logged: Some(1.0),
        };
        Row {
            job: Job::ALL[0],
            subject,
            samples: requests.map(sample).into(),
        }
    }

    pub(super) const CORES: Cores = Cores { proxy: 0, load: 1 };

    #[test]
    fn an_advantage_is_above_one_when_mesh_proxy_is_better() {
        let rows = [
            row(Subject::Envoy, [1000, 2000], [1.0, 1.0, 0.5]),
            row(Subject::MeshProxy, [2000, 4000], [1.0, 1.0, 0.5]),
        ];
        let of = |name| {
            let column = COLUMNS.iter().find(|c| c.name == name).expect("a column");
            advantage(&rows, column).expect("both").median
        };
        assert_eq!(of("req/s"), 2.0);
        assert_eq!(of("CPU µs/req"), 2.0);
        assert_eq!(of("p50 µs"), 1.0);
        assert!(advantage(&rows[..1], &COLUMNS[0]).is_none());
    }
}
