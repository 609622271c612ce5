//! An open-loop load: requests leave on time, whatever became of those before, each with a number of its own.

use crate::echo::REQUEST_NUMBER;
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to.
    #[arg(long)]
    url: hyper::Uri,
    /// Requests each second.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// For how long at most, in seconds; SIGTERM ends it before.
    #[arg(long, default_value_t = 40)]
    seconds: u32,
    /// Number of the first request, even.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// File for the report, JSON.
    #[arg(long)]
    report: PathBuf,
}

/// What became of the requests.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Number of the first request.
    pub(crate) first: u64,
    /// Requests sent, with numbers that follow each other.
    pub(crate) sent: u64,
    /// The same, for each method.
    pub(crate) methods: BTreeMap<String, Count>,
    /// When it began, in milliseconds since 1970.
    pub(crate) began_ms: u64,
    /// For each second since then, what became of the requests that were sent in it.
    pub(crate) seconds: Vec<Second>,
    /// What else happened, how often.
    pub(crate) failures: BTreeMap<String, u64>,
    /// First failures, with when they happened in milliseconds.
    pub(crate) examples: Vec<String>,
    /// Latency in microseconds: 50th, 99th and highest percentile.
    pub(crate) latency_us: [u64; 3],
}

/// How many requests there were.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) sent: u64,
    /// Answered with 200.
    pub(crate) succeeded: u64,
}

/// Requests of one second, in few letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Second(
    /// Sent.
    pub(crate) u64,
    /// Of these, answered with 200.
    pub(crate) u64,
);

impl Report {
    /// The whole seconds between two times, in milliseconds since 1970; those without a request among them. None if the load
    /// had not begun then, or was over before.
    pub(crate) fn between(&self, from_ms: u64, to_ms: u64) -> &[Second] {
        let (Some(from), Some(to)) = (
            from_ms.checked_sub(self.began_ms),
            to_ms.checked_sub(self.began_ms),
        ) else {
            return &[];
        };
        let whole = from.div_ceil(1000) as usize..(to / 1000) as usize;
        self.seconds.get(whole).unwrap_or_default()
    }
}

/// Runs the load and writes the report.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(load(&options))?;
    std::fs::write(&options.report, serde_json::to_vec(&report)?).context("the report")?;
    Ok(ExitCode::SUCCESS)
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

async fn load(options: &Options) -> Result<Report> {
    // Nothing is sent again by this client: what the mesh loses shall be seen.
    let client: HttpClient = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .retry_canceled_requests(false)
        .build_http();
    let total = u64::from(options.rate) * u64::from(options.seconds);
    let mut enough = signal(SignalKind::terminate())?;
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let start = Instant::now();
    let mut running = JoinSet::new();
    let mut outcomes = Vec::new();
    let mut sent = 0;
    for number in 0..total {
        let due = start + Duration::from_secs(number) / options.rate;
        tokio::select! {
            biased;
            _ = enough.recv() => break,
            () = tokio::time::sleep_until(due.into()) => sent += 1,
        }
        running.spawn(one(
            client.clone(),
            options.url.clone(),
            options.first + number,
            start,
        ));
        while let Some(ended) = running.try_join_next() {
            outcomes.push(ended?);
        }
    }
    while let Some(ended) = running.join_next().await {
        outcomes.push(ended?);
    }
    Ok(Report {
        first: options.first,
        began_ms: began.as_millis() as u64,
        ..report(sent, outcomes)
    })
}

struct Outcome {
    number: u64,
    at: Duration,
    took: Duration,
    result: Result<(), String>,
}

async fn one(client: HttpClient, url: hyper::Uri, number: u64, start: Instant) -> Outcome {
    let at = start.elapsed();
    let result = tokio::time::timeout(PATIENCE, ask(client, url, number)).await;
    let result = result.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
    Outcome {
        number,
        at,
        took: start.elapsed() - at,
        result,
    }
}

/// Every second request is one that must not be repeated lightly.
fn method(number: u64) -> Method {
    if number.is_multiple_of(2) {
        Method::GET
    } else {
        Method::POST
    }
}

async fn ask(client: HttpClient, url: hyper::Uri, number: u64) -> Result<(), String> {
    let method = method(number);
    let body = if method == Method::POST {
        "pay once"
    } else {
        ""
    };
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(REQUEST_NUMBER, number);
    let request = request
        .body(Full::from(body))
        .map_err(|error| error.to_string())?;
    let response = client
        .request(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    if status == 200 {
        Ok(())
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)))
    }
}

fn report(sent: u64, mut outcomes: Vec<Outcome>) -> Report {
    let mut report = Report {
        sent,
        ..Report::default()
    };
    outcomes.sort_by_key(|outcome| outcome.number);
    for outcome in &outcomes {
        let method = method(outcome.number).to_string();
        let count = report.methods.entry(method).or_default();
        count.sent += 1;
        let second = outcome.at.as_secs() as usize;
        let seconds = report.seconds.len().max(second + 1);
        report.seconds.resize(seconds, Second::default());
        let second = &mut report.seconds[second];
        second.0 += 1;
        match &outcome.result {
            Ok(()) => {
                count.succeeded += 1;
                second.1 += 1;
            }
            Err(why) => {
                *report.failures.entry(why.clone()).or_default() += 1;
                if report.examples.len() < 10 {
                    report.examples.push(format!(
                        "{} at {} ms: {why}",
                        outcome.number,
                        outcome.at.as_millis()
                    ));
                }
            }
        }
    }
    let mut took: Vec<_> = outcomes.iter().map(|o| o.took.as_micros() as u64).collect();
    took.sort_unstable();
    let percentile = |p: usize| {
        took.get((took.len() * p / 100).min(took.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    };
    report.latency_us = [percentile(50), percentile(99), percentile(100)];
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_its_whole_seconds_and_nothing_outside_of_the_load() {
        let outcome = |number: u64, at: u64, result: Result<(), String>| Outcome {
            number,
            at: Duration::from_millis(at),
            took: Duration::from_millis(1),
            result,
        };
        let report = Report {
            began_ms: 10_500,
            ..report(
                4,
                vec![
                    outcome(0, 0, Ok(())),
                    outcome(1, 999, Err("no".into())),
                    outcome(2, 2000, Ok(())),
                    outcome(3, 3000, Ok(())),
                ],
            )
        };
        assert_eq!(
            report.seconds,
            [Second(2, 1), Second(0, 0), Second(1, 1), Second(1, 1)]
        );
        assert_eq!(report.between(10_500, 11_500), [Second(2, 1)]);
        assert_eq!(
            report.between(10_501, 13_900),
            [Second(0, 0), Second(1, 1)],
            "the first and the last second are not whole"
        );
        for (from, to) in [(10_000, 12_500), (13_500, 15_500), (11_000, 11_400)] {
            assert_eq!(report.between(from, to), [], "{from} to {to}");
        }
    }
}
