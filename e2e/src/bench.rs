//! The proxy beside an Envoy that does the same job: same control plane, same rules, same requests, same run.
//!
//! What counts is the ratio of the two, and the CPU time of a request more than its wall time. Both proxies run with one
//! worker and have a core of their own, which is what limits them; load, backend and all else share another core.
//!
//! ```text
//! site     pods, sidecars and backends
//! job      what is measured: a path through the mesh, and a protocol
//! load     the load generators, and what they say
//! meter    what the proxies took of the machine
//! figures  medians, spread, ratios
//! report   all of it as a table and as JSON
//! ```

mod figures;
mod job;
mod load;
mod meter;
mod report;
mod site;

use crate::{envoy, netns::Programs};
use anyhow::{Context, Result, bail};
use job::{Job, Subject};
use meter::{Cores, Meter};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use report::{Report, Row, Sample};
use site::Site;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// How long the load runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds, in each of which every subject does every job once.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of one measurement, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// File for the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Program of Envoy. Default: the environment variable ENVOY, else `envoy` of PATH.
    #[arg(long)]
    envoy: Option<PathBuf>,
    /// Measure only one of the two.
    #[arg(long, value_enum)]
    only: Option<Subject>,
    /// Measure only jobs whose name contains this, such as `pair` or `HTTP/2`.
    #[arg(long, default_value = "")]
    job: String,
}

/// Measures and reports. Fails if a request failed.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let cores = take_cores()?;
    let subjects: Vec<_> = Subject::SIDECARS
        .into_iter()
        .filter(|subject| options.only.is_none_or(|only| only == *subject))
        .collect();
    let program = subjects
        .contains(&Subject::Envoy)
        .then(|| options.envoy.clone().map_or_else(envoy::program, Ok))
        .transpose()?;
    let mut report = Report::new(options.rounds, options.seconds, cores, program.as_deref());
    let (jobs, missing) = jobs(&options.job)?;
    report.skipped = missing;
    let mut site = Site::article(&Programs::beside_us()?, &subjects, program, cores)?;
    report.idle = site.idle_memory()?;
    site.add_backends()?;
    report.rows = rows(&jobs, &subjects);
    for round in 1..=options.rounds {
        for row in &mut report.rows {
            say(&format!(
                "round {round} of {}: {}, {}",
                options.rounds, row.job, row.subject
            ));
            row.samples.push(measure(
                &site,
                row.job,
                row.subject,
                options.seconds,
                cores,
            )?);
        }
    }
    print!("{report}");
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report.json())?)
            .with_context(|| path.display().to_string())?;
    }
    let failed: u64 = report.rows.iter().map(Row::failed).sum();
    if failed > 0 {
        bail!("{failed} requests failed: the figures are void");
    }
    Ok(ExitCode::SUCCESS)
}

/// Progress goes where it does not mix with the figures.
fn say(text: &str) {
    eprintln!("bench: {text}");
}

/// Chooses the cores and moves us, and all that we start, to that of the load.
fn take_cores() -> Result<Cores> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut cores = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let (Some(proxy), Some(load)) = (cores.next(), cores.next()) else {
        bail!("two cores are needed: one for the proxies, one for load and backend");
    };
    let mut ours = CpuSet::new();
    ours.set(load)?;
    sched_setaffinity(Pid::from_raw(0), &ours)?;
    Ok(Cores { proxy, load })
}

/// Jobs that can be done and were asked for, and why others cannot be done.
fn jobs(wanted: &str) -> Result<(Vec<Job>, Vec<String>)> {
    let asked = Job::ALL
        .into_iter()
        .filter(|job| job.to_string().contains(wanted));
    let (mut jobs, mut missing) = (Vec::new(), Vec::new());
    for job in asked {
        match load::program(job.protocol) {
            Ok(_) => jobs.push(job),
            Err(why) => missing.push(format!("{job}: {why:#}")),
        }
    }
    if jobs.is_empty() {
        bail!("no job is left to measure: {}", missing.join("; "));
    }
    Ok((jobs, missing))
}

/// For each job a row for the bare path, then one for each subject.
fn rows(jobs: &[Job], subjects: &[Subject]) -> Vec<Row> {
    let row = |job, subject| Row {
        job,
        subject,
        samples: Vec::new(),
    };
    let subjects = |job: &Job| {
        let bare = job.has_bare_path().then_some(Subject::Direct);
        bare.into_iter().chain(subjects.iter().copied())
    };
    jobs.iter()
        .flat_map(|job| subjects(job).map(|subject| row(*job, subject)))
        .collect()
}

fn measure(site: &Site, job: Job, subject: Subject, seconds: u32, cores: Cores) -> Result<Sample> {
    let target = site.target(job, subject);
    site.check(job, subject, &target)
        .with_context(|| format!("{job}, {subject}"))?;
    site.forget_logs()?;
    let warm_up = site.load(job, &target, WARM_UP.as_secs() as u32)?;
    let proxies = site.proxies(job, subject)?;
    let meter = Meter::start(&proxies, cores)?;
    let load = site.load(job, &target, seconds)?;
    let taken = meter.stop()?;
    let answered = warm_up.succeeded + load.succeeded;
    let logged = site.logged(job, subject)?;
    Ok(Sample {
        load,
        taken,
        logged: logged.map(|lines| lines as f64 / answered as f64),
    })
}
