//! Traffic capture by iptables: what a pod's init container does so that the sidecar sees the pod's connections.
//!
//! The way of a run: flags are read as they were typed, understood as a configuration, turned into rules as data, made
//! into text for `iptables-restore`, and brought into place. Everything up to the text is a function of values; only
//! what follows touches the machine. Arguments, chains and rules are those of Istio's `istio-iptables`, so that what is
//! written for Istio works here and reads the same in `iptables-save`.
//!
//! This crate must not know the control plane, the proxy or Kubernetes.

// What is wanted: flags → configuration → rules.
pub mod config; // what the flags mean
pub mod flags; // what was typed
pub mod host; // facts of the machine that the meaning depends on
pub mod rules; // the rules as data

// What is there, and the text that leads from one to the other.
pub mod dry_run; // that text, printed
mod restore; // that text, for iptables-restore
mod saved; // what is in place, and what of it is ours

// What touches the machine.
mod apply; // one family's rules into place
mod backend; // the iptables programs
mod capture; // both families' rules, and the routes
mod lock; // one run at a time
mod netns; // in another network namespace
mod routes; // what the rules need beside them
mod validate; // the redirection proven by a connection
mod verify; // asked for, rule by rule, after writing

// What the user reads.
mod error;
mod log;

use apply::Options;
use config::{Action, Config};
use error::Error;
use flags::Settings;
use host::Host;
use lock::Lock;
use log::Log;
use rules::Family;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit code when the redirection could not be proven. Istio's CNI repair controller looks for it.
pub const VALIDATION_FAILED: u8 = 126;

/// Runs the program with its whole command line, the program's name first.
///
/// Exit codes: 0 done, 1 failed, 2 refused before anything was touched, 126 the validation failed.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let settings = match Settings::parse(args, |name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => {
            // Help and version go to stdout, what is wrong to stderr; nothing is left to do if that is closed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(error::REFUSED));
        }
    };
    match within_namespace(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            ExitCode::from(error.code())
        }
    }
}

fn within_namespace(settings: &Settings) -> Result<(), Error> {
    let path = config::network_namespace(settings);
    let entered = netns::within(path, || execute(settings));
    entered.map_err(|source| Error::Namespace {
        path: path.unwrap_or_else(|| "".as_ref()).into(),
        source,
    })?
}

fn execute(settings: &Settings) -> Result<(), Error> {
    let log = Log(config::log_level(settings));
    let host = Host::read().map_err(Error::Host)?;
    let config = Config::new(settings, &host)?;
    for warning in &config.warnings {
        log.warn(format_args!("{warning}"));
    }
    if config.run.dry_run {
        return print(&dry_run::text(&config));
    }
    act(&config, log)?;
    validate(&config, log)
}

fn print(text: &str) -> Result<(), Error> {
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Error::Print),
    }
}

fn act(config: &Config, log: Log) -> Result<(), Error> {
    let variant = config.run.backend;
    match config.run.action {
        Action::Apply { force, guarded } => {
            let _alone = Lock::take().map_err(Error::Lock)?;
            let options = Options {
                variant,
                force,
                guarded,
            };
            capture::apply(&config.capture, options, log)?;
        }
        Action::CleanUp => {
            let _alone = Lock::take().map_err(Error::Lock)?;
            capture::clean_up(&config.capture, log)?;
        }
        Action::Nothing => log.info(format_args!(
            "the rules stay as they are (--skip-rule-apply)"
        )),
    }
    Ok(())
}

fn validate(config: &Config, log: Log) -> Result<(), Error> {
    let Some(probe) = config.run.validation else {
        return Ok(());
    };
    for family in Family::captured(&config.capture) {
        validate::validate(&config.capture, probe, *family)?;
        log.info(format_args!("{family}: the redirection works"));
    }
    Ok(())
}
