//! The mesh's main job, shown step by step from live state: a request from one pod to another's service, captured,
//! encrypted, balanced, logged and measured.

mod counters; // packets that each rule has seen
mod facts; //    what was seen, for people and for scripts
mod walk; //     the steps

use crate::{
    netns::Programs,
    sandbox,
    stage::{self, Stage},
};
use anyhow::Result;
use facts::Facts;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

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

/// Sets the stage, walks, and stays up until it is told to end.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let say = |text: &str| {
        if !options.json {
            println!("{text}");
        }
    };
    let mut stage = Stage::set(&Programs::beside_us()?, &say)?;
    let mut facts = Facts::new(!options.json);
    let walked = walk::walk(&mut stage, &mut facts);
    if options.json {
        println!("{}", facts.json());
    }
    walked?;
    if !options.once {
        say(&format!(
            "\nThe pods stay up: meshctl -n test proxy-config all {}\nCtrl-C ends them and cleans up.",
            stage::SERVER
        ));
        wait_for_the_end()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn wait_for_the_end() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        sandbox::ends_by_itself();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
