//! Why a command failed: what the user reads, and the exit code that a script reads.

use std::fmt::Write;

/// Exit code of a command that was used wrongly, as `istioctl`'s and sysexits' `EX_USAGE`.
pub(crate) const USAGE: u8 = 64;
/// Exit code of input that is not what it should be (`EX_DATAERR`).
const BAD_DATA: u8 = 65;
/// Exit code of every other failure.
const GENERIC: u8 = 1;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The process's exit code.
    pub(crate) code: u8,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    /// The command line asks for something that cannot be.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            ..anyhow::Error::msg(message.into()).into()
        }
    }

    /// A file or an answer is not what it should be.
    pub(crate) fn bad_data(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: BAD_DATA,
            ..error.into().into()
        }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Adds another way out to the hint that there may be.
    #[must_use]
    pub(crate) fn more(self, hint: &str) -> Self {
        let hint = match &self.hint {
            Some(first) => format!("{first}\nhint: {hint}"),
            None => hint.to_owned(),
        };
        self.hint(hint)
    }

    /// What the user reads: the error, its causes, the hint.
    pub(crate) fn report(&self) -> String {
        let mut text = format!("error: {:#}\n", self.error);
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        text
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        anyhow::Error::new(error).into()
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            code: GENERIC,
            error,
            hint: None,
        }
    }
}
