//! `meshctl`, the mesh's command line.
//!
//! It asks running proxies and the control plane, and prints what they say in the words and tables of `istioctl`. The
//! modules stand in the order of a command's way. What changes something says so by its name: `install`, `uninstall`, and the
//! log levels of `proxy-config log`.

mod args; // what was typed
mod command; // what it means, and in which order things happen
mod failure; // why it did not work, with a hint and an exit code

mod dump; // a config dump as typed resources
mod fetch; // where the answers come from: a file, a pod of this machine, a pod of a cluster
mod inspect; // what the objects of a cluster mean for one pod
mod install; // the mesh as objects of a cluster
mod view; // tables, JSON and YAML

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use failure::Failure;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(failure::USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match command::run(&cli).and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{}", failure.report());
            ExitCode::from(failure.code)
        }
    }
}

/// Prints to standard output; a reader that goes away early (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot print").into())
        }
        _ => Ok(()),
    }
}
