//! Where there is no Kubernetes: the scenarios that need none, each in a sandbox of its own.

use crate::scenario::Scenario;
use anyhow::{Result, bail};
use clap::ValueEnum;
use std::{
    process::{Command, ExitCode},
    time::Instant,
};

/// Plays those whose names contain `filter`.
pub(crate) fn play(filter: Option<&str>, long: bool) -> Result<ExitCode> {
    let filter = filter.unwrap_or_default();
    let names: Vec<_> = Scenario::value_variants()
        .iter()
        .filter_map(|scenario| Some(scenario.to_possible_value()?.get_name().to_owned()))
        .filter(|name| name.contains(filter))
        .collect();
    if names.is_empty() {
        bail!("no scenario without Kubernetes is named like `{filter}`");
    }
    let mut failed = false;
    for name in names {
        println!("== {name}");
        let start = Instant::now();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["scenario", &name]);
        if long {
            command.arg("--long");
        }
        let status = command.status()?;
        let seconds = start.elapsed().as_secs_f32();
        if status.success() {
            println!("passed   {name} ({seconds:.1} s)");
        } else {
            failed = true;
            println!("FAILED   {name} ({seconds:.1} s): {status}");
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
