//! All of it as a table for people and as JSON for scripts.

use super::{
    figures::{Figure, ratio},
    job::{Job, Subject},
    load::Load,
    meter::{Cores, Taken},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{fmt, path::Path, process::Command};

const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// A core that was busy for less than this share was not the limit.
const FULL: f64 = 0.95;
/// If the proxies had less than this share of a full core of theirs, others had the rest.
const THEIRS: f64 = 0.90;
/// Share of the requests that must be in each proxy's access log. Less than all, because some wait in a buffer.
const LOGGED: f64 = 0.95;

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

    /// What speaks against the row.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.failed() > 0 {
            faults.push(format!("{} REQUESTS FAILED", self.failed()));
        }
        let logged = Figure::of(self.samples.iter().filter_map(|sample| sample.logged));
        if let Some(logged) = logged.filter(|logged| logged.median < LOGGED) {
            let percent = (logged.median * 100.0).round();
            faults.push(format!(
                "ONLY {percent} % OF THE REQUESTS LOGGED: less work"
            ));
        }
        faults
    }

    fn values(&self, value: fn(&Sample) -> f64) -> impl Iterator<Item = f64> {
        self.samples.iter().map(value)
    }

    fn median(&self, value: fn(&Sample) -> f64) -> f64 {
        Figure::of(self.values(value)).map_or(0.0, |figure| figure.median)
    }

    /// What limited it.
    fn limit(&self, cores: Cores) -> String {
        let share = |value| self.median(value);
        let theirs = share(|s| s.taken.proxies_share);
        let proxy = share(|s| s.taken.proxy_core_busy);
        let load = share(|s| s.taken.load_core_busy);
        let percent = |share: f64| (share * 100.0).round();
        if self.subject == Subject::Direct {
            return format!("{} % of core {}", percent(load), cores.load);
        }
        let verdict = match (proxy >= FULL, load >= FULL) {
            (true, _) if theirs < THEIRS => "DISTURBED: others were on the proxies' core",
            (true, true) => "both cores full",
            (true, false) => "limited by the proxy",
            (false, true) => "LIMITED BY LOAD AND BACKEND: req/s is not what the proxy can do",
            (false, false) => "no core full",
        };
        format!(
            "{} % of core {} ({} % proxies), {} % of core {}: {verdict}",
            percent(proxy),
            cores.proxy,
            percent(theirs),
            percent(load),
            cores.load
        )
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

    fn preface(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nmesh-proxy beside {}: same control plane, rules, access log and requests; one worker each; 1 KiB answers.",
            self.envoy.as_deref().unwrap_or("no Envoy")
        )?;
        writeln!(
            f,
            "Proxies on core {}, all else on core {}. {} rounds of {} s, interleaved: medians, ± half of the range.",
            self.cores.proxy, self.cores.load, self.rounds, self.seconds
        )?;
        writeln!(
            f,
            "Advantage: Envoy ÷ mesh-proxy (req/s: mesh-proxy ÷ Envoy), round by round; above 1, mesh-proxy is better."
        )?;
        writeln!(
            f,
            "CPU and RSS are of the proxies alone, both of them in a pair. Only mesh-proxy keeps Istio's request metrics."
        )?;
        if cfg!(debug_assertions) {
            writeln!(f, "NOT OPTIMIZED: a debug build; its figures mean nothing.")?;
        }
        Ok(())
    }

    fn table_of_idle(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nresident memory at rest, the demo's configuration")?;
        let mebibytes = |bytes: u64| bytes as f64 / MEBIBYTE;
        for Idle {
            subject,
            proxy,
            agent,
        } in &self.idle
        {
            write!(f, "  {subject:<12}{:>8.1} MiB", mebibytes(*proxy))?;
            match agent {
                Some(agent) => writeln!(f, ", and its agent {:.1} MiB", mebibytes(*agent))?,
                None => writeln!(f)?,
            }
        }
        let of = |subject| self.idle.iter().find(|idle| idle.subject == subject);
        if let (Some(envoy), Some(ours)) = (of(Subject::Envoy), of(Subject::MeshProxy)) {
            let ratio = envoy.proxy as f64 / ours.proxy as f64;
            writeln!(f, "  {:<12}{ratio:>8.2} ×", "advantage")?;
        }
        Ok(())
    }

    fn table_of_job(&self, rows: &[Row], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        writeln!(f, "\n{}", first.job)?;
        write!(f, "  {:<12}", "")?;
        for column in &COLUMNS {
            write!(f, "{:>16}", column.name)?;
        }
        writeln!(f)?;
        for row in rows {
            write!(f, "  {:<12}", row.subject)?;
            for column in &COLUMNS {
                write!(f, "{:>16}", cell(row, column))?;
            }
            writeln!(f)?;
        }
        if rows.iter().any(|row| row.subject == Subject::MeshProxy)
            && rows.iter().any(|row| row.subject == Subject::Envoy)
        {
            write!(f, "  {:<12}", "advantage")?;
            for column in &COLUMNS {
                let text = advantage(rows, column)
                    .map_or_else(String::new, |figure| shown(figure, 2, "×"));
                write!(f, "{text:>16}")?;
            }
            writeln!(f)?;
        }
        for row in rows {
            writeln!(f, "  {:<12}{}", row.subject, row.limit(self.cores))?;
            for fault in row.faults() {
                writeln!(f, "  {:<12}{fault}", "")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.preface(f)?;
        self.table_of_idle(f)?;
        self.jobs()
            .try_for_each(|rows| self.table_of_job(rows, f))?;
        self.skipped
            .iter()
            .try_for_each(|why| writeln!(f, "\nnot measured: {why}"))
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

fn cell(row: &Row, column: &Column) -> String {
    match Figure::of(row.values(column.value)) {
        Some(figure) if figure.median > 0.0 => shown(figure, column.decimals, ""),
        _ => "–".into(),
    }
}

/// Such as `20035 ±7%`, and `2.31× ±7%` with the unit `×`.
fn shown(figure: Figure, decimals: usize, unit: &str) -> String {
    let spread = (figure.spread * 100.0).round();
    format!("{:.decimals$}{unit} ±{spread}%", figure.median)
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

    fn row(subject: Subject, requests: [u64; 2], busy: [f64; 3]) -> Row {
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

    const CORES: Cores = Cores { proxy: 0, load: 1 };

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

    #[test]
    fn a_full_core_is_named_and_whose_it_was() {
        let limit = |busy| row(Subject::Envoy, [1, 1], busy).limit(CORES);
        assert!(limit([0.98, 0.99, 0.6]).ends_with(": limited by the proxy"));
        assert!(limit([0.6, 0.99, 0.6]).contains("DISTURBED"));
        assert!(limit([0.7, 0.72, 0.99]).contains("LIMITED BY LOAD"));
        assert!(limit([0.5, 0.5, 0.5]).ends_with(": no core full"));
    }

    #[test]
    fn what_speaks_against_a_row_is_said() {
        let mut row = row(Subject::MeshProxy, [1, 1], [1.0, 1.0, 0.5]);
        assert!(row.faults().is_empty());
        for sample in &mut row.samples {
            sample.logged = Some(0.5);
            sample.load.failed = 2;
        }
        assert_eq!(
            row.faults(),
            [
                "4 REQUESTS FAILED",
                "ONLY 50 % OF THE REQUESTS LOGGED: less work"
            ]
        );
    }

    #[test]
    fn the_table_shows_subjects_and_what_was_left_out() {
        let report = Report {
            rounds: 2,
            seconds: 2,
            cores: CORES,
            envoy: Some("Envoy 1.40.0".into()),
            skipped: vec!["one hop, HTTP/2: h2load is not there".into()],
            idle: vec![],
            rows: vec![
                row(Subject::Envoy, [1000, 2000], [1.0, 1.0, 0.5]),
                row(Subject::MeshProxy, [2000, 4000], [1.0, 1.0, 0.5]),
            ],
        };
        let text = report.to_string();
        for wanted in [
            "  Envoy               750 ±33%",
            "2.00× ±0%",
            "not measured: one hop, HTTP/2",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        assert_eq!(
            report.json()["ratios"][0]["advantage"]["req/s"]["median"],
            2.0
        );
    }
}
