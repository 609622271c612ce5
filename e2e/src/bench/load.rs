//! The load generators: wrk for HTTP/1.1, h2load for HTTP/2. Both keep 64 requests under way.

use super::{figures::percentile, job::Protocol};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path, path::PathBuf, process::Command};

/// Makes wrk say what it has seen in a form that is easy to read.
const WRK_SCRIPT: &str = include_str!("load/wrk.lua");

/// Where requests go.
pub(crate) struct Target {
    /// Pod that the load comes from.
    pub(crate) from: &'static str,
    /// `http://address:port`.
    pub(crate) url: String,
    /// Host that is asked for.
    pub(crate) host: String,
}

/// What a load generator has seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Requests answered with 2xx.
    pub(crate) succeeded: u64,
    /// Requests that failed in any way.
    pub(crate) failed: u64,
    /// Length, in seconds.
    pub(crate) seconds: f64,
    /// Median latency, in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of latency, in microseconds.
    pub(crate) p99_us: f64,
}

/// Load generator for `protocol`.
pub(crate) fn program(protocol: Protocol) -> Result<PathBuf> {
    let (name, package) = match protocol {
        Protocol::Http1 => ("wrk", "wrk"),
        Protocol::Http2 => ("h2load", "nghttp2-client"),
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("{name} is not there\nhint: apt-get install {package}"))
}

/// Command that loads `target`; it may write to `folder`.
pub(crate) fn command(
    protocol: Protocol,
    target: &Target,
    seconds: u32,
    folder: &Path,
) -> Result<Command> {
    let mut command = Command::new(program(protocol)?);
    let url = format!("{}/", target.url);
    match protocol {
        Protocol::Http1 => {
            let script = folder.join("wrk.lua");
            fs::write(&script, WRK_SCRIPT)?;
            command
                .args(["-t1", "-c64", "--timeout", "10s", "-s"])
                .arg(script)
                .args(["-d", &format!("{seconds}s")])
                .args(["-H", &format!("Host: {}", target.host), &url]);
        }
        Protocol::Http2 => {
            let log = log(folder);
            let _ = fs::remove_file(&log);
            command
                .args(["-t1", "-c8", "-m8", "-D", &seconds.to_string()])
                .args(["-H", &format!(":authority: {}", target.host)])
                .arg("--log-file")
                .arg(log)
                .arg(url);
        }
    }
    Ok(command)
}

/// File where h2load logs each request.
fn log(folder: &Path) -> PathBuf {
    folder.join("h2load.log")
}

/// Reads what the generator has printed, and logged in `folder`.
pub(crate) fn read(protocol: Protocol, output: &str, folder: &Path) -> Result<Load> {
    let load = match protocol {
        Protocol::Http1 => read_wrk(output),
        Protocol::Http2 => {
            let log = fs::read_to_string(log(folder)).context("log of h2load")?;
            read_h2load(output, &log)
        }
    };
    let load = load.with_context(|| output.to_owned())?;
    if load.succeeded == 0 {
        bail!("no request succeeded:\n{output}");
    }
    Ok(load)
}

fn read_wrk(output: &str) -> Result<Load> {
    let line = output.lines().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(line.context("no figures")?)?)
}

/// `finished in 3.00s, …`, `requests: … 34669 succeeded, …`, and a line of start, status and duration for each request.
fn read_h2load(output: &str, log: &str) -> Result<Load> {
    let line = |start: &str| {
        output
            .lines()
            .find_map(|line| line.strip_prefix(start))
            .with_context(|| format!("no `{start}`"))
    };
    let seconds = line("finished in ")?.split(',').next().unwrap_or_default();
    let requests = line("requests: ")?;
    let count = |what: &str| -> Result<u64> {
        let found = requests
            .split(',')
            .find_map(|part| part.trim().strip_suffix(what));
        Ok(found
            .with_context(|| format!("no `{what}`"))?
            .trim()
            .parse()?)
    };
    let mut latencies: Vec<f64> = log
        .lines()
        .filter_map(|line| line.split('\t').nth(2)?.parse().ok())
        .collect();
    latencies.sort_by(f64::total_cmp);
    Ok(Load {
        succeeded: count("succeeded")?,
        // `failed` counts the errored and the timed out too.
        failed: count("failed")?,
        seconds: duration(seconds)?,
        p50_us: percentile(&latencies, 0.50),
        p99_us: percentile(&latencies, 0.99),
    })
}

/// A duration as h2load prints it, in seconds.
fn duration(text: &str) -> Result<f64> {
    for (unit, factor) in [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * factor);
        }
    }
    bail!("`{text}` is no duration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says() {
        let output = "Running 1s test\n  1 threads\n{\"succeeded\": 1000, \"failed\": 1, \"seconds\": 1.001, \"p50_us\": 900, \"p99_us\": 2000}\n";
        let want = Load {
            succeeded: 1000,
            failed: 1,
            seconds: 1.001,
            p50_us: 900.0,
            p99_us: 2000.0,
        };
        assert_eq!(read_wrk(output).expect("figures"), want);
        assert!(read_wrk("unable to connect").is_err());
    }

    #[test]
    fn what_h2load_says() {
        let output = "starting benchmark...\n\nfinished in 500.00ms, 8.00 req/s, 1MB/s\nrequests: 4 total, 12 started, 4 done, 3 succeeded, 1 failed, 1 errored, 0 timeout\n";
        let log = "1\t200\t100\n2\t200\t300\n3\t200\t200\n";
        let load = read_h2load(output, log).expect("figures");
        let want = Load {
            succeeded: 3,
            failed: 1,
            seconds: 0.5,
            p50_us: 200.0,
            p99_us: 300.0,
        };
        assert_eq!(load, want);
        assert!(read_h2load("connection refused", "").is_err());
    }
}
