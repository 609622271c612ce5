//! mesh-injector: reads the command line, starts the log, runs the webhook, says why it cannot.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use mesh_injector::webhook::{app, config::Command};
use mesh_runtime::log::{Family, Scope};

/// Scopes of the log, under Istio's names.
static SCOPES: [Scope; 1] = [Scope {
    name: "injection",
    family: Family::Istio,
    targets: &["mesh_injector"],
}];

fn main() -> ExitCode {
    match start(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = app::hint(&error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<()> {
    let _logging = command.log.install(&SCOPES)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(app::run(command))
}
