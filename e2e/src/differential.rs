//! The same configuration and the same requests for a real Envoy and for mesh-proxy: what clients, servers and the access log
//! see has to be the same, or to be listed as a difference.
//!
//! ```text
//! case      what is configured, served and asked: data, in `e2e/differential/*.yaml`
//! plane     one of the two, as a process with a bootstrap
//! server    an endpoint that does what its script says, and remembers what it saw
//! client    asks, and writes down the answer
//! seen      all that was seen of a case, as names and values that can be compared
//! listed    the differences that are meant: `docs/differences-from-envoy.md`
//! ```
//!
//! Everything is on loopback; both planes end with us.

mod case;
mod client;
mod listed;
mod plane;
mod seen;
mod server;

use crate::envoy;
use anyhow::{Context, Result, bail};
use case::Case;
use listed::Listed;
use plane::{Kind, Plane};
use seen::Seen;
use server::Servers;
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only cases whose names contain this.
    filter: Option<String>,
    /// Folder of the cases.
    #[arg(long, default_value = "e2e/differential")]
    cases: PathBuf,
    /// The differences that are meant.
    #[arg(long, default_value = "docs/differences-from-envoy.md")]
    listed: PathBuf,
    /// Shows all that was seen, of every case.
    #[arg(long)]
    verbose: bool,
}

/// Plays all cases and tells what differs.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    let mut listed = Listed::read(&options.listed)?;
    let all = case::read(&options.cases)?;
    let wanted = options.filter.as_deref().unwrap_or_default();
    let cases: Vec<_> = all.iter().filter(|c| c.name.contains(wanted)).collect();
    if cases.is_empty() {
        bail!("no case is called like `{wanted}`");
    }
    let programs = [
        (Kind::Envoy, envoy::program()?),
        (Kind::Ours, plane::ours()?),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut failed = 0;
    for case in &cases {
        let mut both = Vec::new();
        for (kind, program) in &programs {
            let seen = runtime.block_on(play(case, *kind, program));
            both.push(seen.with_context(|| format!("{}: {kind:?}", case.name))?);
        }
        let [theirs, ours] = &both[..] else {
            bail!("there are two planes")
        };
        let differences = theirs.differences(ours);
        let unlisted = listed.judge(&case.name, &differences);
        if !unlisted.is_empty() || options.verbose {
            println!("{}", case.name);
        }
        if options.verbose {
            println!("{theirs}");
        }
        failed += u32::from(!unlisted.is_empty());
        for difference in unlisted {
            println!("  {difference}");
        }
    }
    let rotten = match options.filter {
        None => listed.unused(),
        Some(_) => Vec::new(),
    };
    for id in &rotten {
        println!("listed, but no case shows it: {id}");
    }
    println!(
        "{} cases, {failed} with differences that are not listed, {:.1} s",
        cases.len(),
        start.elapsed().as_secs_f32()
    );
    Ok(match failed == 0 && rotten.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// One case on one of the two.
async fn play(case: &Case, kind: Kind, program: &std::path::Path) -> Result<Seen> {
    let servers = Servers::start(&case.servers).await?;
    let mut seen = Seen::new(&servers);
    let plane = match Plane::start(case, kind, program, &servers).await? {
        Ok(plane) => plane,
        Err(_) => {
            seen.note("configuration", "refused");
            return Ok(seen);
        }
    };
    seen.note("configuration", "accepted");
    let mut client = client::Client::new(plane.port());
    for (number, request) in case.requests.iter().enumerate() {
        client.ask(request, &format!("{number}"), &mut seen).await?;
    }
    drop(client);
    let lines = plane.log(case.requests.len()).await?;
    let port = plane.port();
    plane.stop().await?;
    seen.log(&lines)?;
    seen.servers(&servers);
    seen.hide(&format!("127.0.0.1:{port}"), "LISTENER");
    Ok(seen)
}
