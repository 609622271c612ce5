//! The mesh's main job, shown step by step from live state.

use anyhow::Result;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Exit after the walk.
    #[arg(long)]
    once: bool,
    /// Print the facts as JSON, for scripts.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let _ = options;
    Ok(ExitCode::SUCCESS)
}
