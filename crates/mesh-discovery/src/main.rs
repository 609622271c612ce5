//! mesh-discovery: reads the command line, starts the log, runs the control plane, says why it cannot.

use clap::Parser;
use mesh_discovery::{
    app::{self, Failure},
    config::{Command, Settings, Verb},
};
use mesh_runtime::log::{Family, Scope};
use std::process::ExitCode;

/// Scopes of the log, under Istio's names.
static SCOPES: [Scope; 5] = [
    scope("ads", &["mesh_discovery::serve"]),
    scope(
        "model",
        &[
            "mesh_discovery::push",
            "mesh_discovery::snapshot",
            "mesh_discovery::translate",
        ],
    ),
    scope("kube", &["mesh_discovery::watch"]),
    scope("serverca", &["mesh_discovery::ca"]),
    scope("rootca", &["mesh_discovery::app"]),
];

const fn scope(name: &'static str, targets: &'static [&'static str]) -> Scope {
    Scope {
        name,
        family: Family::Istio,
        targets,
    }
}

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
    let _logging = logging.map_err(anyhow::Error::new)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| anyhow::Error::new(e).context("cannot start the runtime"))?;
    runtime.block_on(app::run(settings))
}
