//! mesh-discovery: reads the command line, starts the log, runs the control plane, says why it cannot.

use clap::Parser;
use mesh_discovery::{
    app::{self, Failure},
    config::{Command, Settings, Verb},
    scopes::SCOPES,
};
use std::{process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    let Verb::Discovery(typed) = Command::parse().verb;
    match start(Settings::new(*typed).map_err(|e| Failure::from(anyhow::Error::new(e)))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { error, hint }) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start(settings: Result<Settings, Failure>) -> Result<(), Failure> {
    let settings = settings?;
    let logging = settings.log.install(&SCOPES);
    let logging = Arc::new(logging.map_err(anyhow::Error::new)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| anyhow::Error::new(e).context("cannot start the runtime"))?;
    runtime.block_on(app::run(settings, logging))
}
