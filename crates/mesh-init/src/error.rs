//! Why a run ended early: the exit code, and what the user reads.
//!
//! Each error prints its own level; [`Error::report`] prints the chain, the most general first, and the hint of whoever
//! knows one.

use crate::{VALIDATION_FAILED, capture, config, validate};
use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

const FAILED: u8 = 1;
/// The exit code when the command line was not understood; nothing was touched.
pub(crate) const REFUSED: u8 = 2;

/// Why a run ended early.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Refused(#[from] config::Invalid),
    #[error("cannot work in the network namespace {}", path.display())]
    Namespace { path: PathBuf, source: io::Error },
    #[error("cannot list this pod's addresses")]
    Host(#[source] io::Error),
    #[error("cannot print the rules")]
    Print(#[source] io::Error),
    #[error("cannot wait for other runs in this network namespace")]
    Lock(#[source] io::Error),
    #[error(transparent)]
    Capture(#[from] capture::Error),
    #[error(transparent)]
    Validation(#[from] validate::Failure),
}

impl Error {
    /// The program's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Error::Refused(_) => REFUSED,
            Error::Validation(_) => VALIDATION_FAILED,
            Error::Namespace { .. }
            | Error::Host(_)
            | Error::Print(_)
            | Error::Lock(_)
            | Error::Capture(_) => FAILED,
        }
    }

    /// Writes everything there is to say to stderr.
    pub(crate) fn report(&self) {
        eprintln!("error: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            eprintln!("  because {error}");
            cause = error.source();
        }
        if let Some(hint) = self.hint() {
            eprintln!("hint: {hint}");
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Refused(_) | Error::Host(_) | Error::Print(_) | Error::Lock(_) => None,
            Error::Namespace { .. } => Some(
                "name a network namespace (such as /proc/PID/ns/net); entering it takes CAP_SYS_ADMIN".to_owned(),
            ),
            Error::Capture(error) => error.hint(),
            Error::Validation(failure) => failure.hint(),
        }
    }
}
