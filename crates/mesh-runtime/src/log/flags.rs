//! What is typed of the log: the flags of the control plane's programs.
//!
//! The proxy's are others: it takes Envoy's too.

use super::{AlreadyInstalled, Format, InvalidLevels, Levels, Logging, Scope};

/// Flags of the log.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// Levels of the log, `scope:level,…` with the levels debug, info, warn, error, none.
    #[arg(
        long = "log_output_level",
        default_value = "default:info",
        value_name = "LEVELS",
        help_heading = "Process"
    )]
    pub log_output_level: String,
    /// Log lines as JSON.
    #[arg(long = "log_as_json", help_heading = "Process")]
    pub log_as_json: bool,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum FlagsError {
    /// Levels that cannot be.
    #[error("--log_output_level")]
    Levels(#[from] InvalidLevels),
    /// There is one.
    #[error(transparent)]
    Installed(#[from] AlreadyInstalled),
}

impl Flags {
    /// Starts the log of this process, which has `scopes`.
    ///
    /// # Errors
    /// If the levels cannot be understood, or there is a log already.
    pub fn install(&self, scopes: &'static [Scope]) -> Result<Logging, FlagsError> {
        let levels = Levels::new(scopes).istio(&self.log_output_level)?;
        let format = match self.log_as_json {
            true => Format::Json,
            false => Format::Text,
        };
        Ok(Logging::install(levels, format)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn levels_that_cannot_be_are_said_with_their_flag() {
        let flags = Flags {
            log_output_level: "default:loud".into(),
            log_as_json: false,
        };
        let error = flags.install(&[]).expect_err("no level");
        assert_eq!(error.to_string(), "--log_output_level");
        let cause = error.source().expect("a cause").to_string();
        assert!(cause.contains("`loud`"), "{cause}");
    }
}
