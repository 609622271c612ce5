//! The table for people.

use super::{COLUMNS, Column, Idle, MEBIBYTE, Report, Row, advantage};
use crate::bench::{figures::Figure, job::Subject, meter::Cores};
use std::fmt;

/// A core that was busy for less than this share was not the limit.
const FULL: f64 = 0.95;
/// If the proxies had less than this share of a full core of theirs, others had the rest.
const THEIRS: f64 = 0.90;
/// Share of the requests that must be in each proxy's access log. Less than all, because some wait in a buffer.
const LOGGED: f64 = 0.95;

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

impl Report {
    fn preface(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nmesh-proxy and {}: same control plane, rules, access log and requests; one worker each; 1 KiB answers.",
            self.envoy
                .as_deref()
                .unwrap_or("no Envoy to compare it with")
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

impl Row {
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

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{CORES, row},
        *,
    };

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
