//! Levels, and the lists of them that flags carry.

use std::{fmt, str::FromStr};

use tracing::level_filters::LevelFilter;

/// How much is logged. Ordered from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing; Istio's `none`.
    Off,
    /// What is wrong. Envoy's `critical` and Istio's `fatal` mean this too.
    Error,
    /// What is odd.
    Warning,
    /// What happens.
    Info,
    /// Why it happens.
    Debug,
    /// Every step.
    Trace,
}

/// Text that sets no levels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLevels {
    /// No level has this name.
    #[error("`{0}` is no log level\nhint: one of off (none), error, warning, info, debug, trace")]
    Level(String),
    /// A part of the list has no colon.
    #[error("`{0}` is not of the form <scope>:<level>")]
    Form(String),
}

impl Level {
    /// The level in `tracing`'s words.
    pub(super) fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warning => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl FromStr for Level {
    type Err = InvalidLevels;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "off" | "none" => Ok(Self::Off),
            "error" | "critical" | "fatal" => Ok(Self::Error),
            "warning" | "warn" => Ok(Self::Warning),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(InvalidLevels::Level(text.into())),
        }
    }
}

impl fmt::Display for Level {
    /// Envoy's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

/// Reads `scope:level,scope:level`, the value of `--log_output_level` and `--proxyComponentLogLevel`.
///
/// # Errors
/// The first part that is not of this form.
pub fn parse_levels(text: &str) -> Result<Vec<(String, Level)>, InvalidLevels> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (scope, level) = part
            .split_once(':')
            .ok_or_else(|| InvalidLevels::Form(part.into()))?;
        Ok((scope.trim().into(), level.trim().parse()?))
    };
    parts.map(pair).collect()
}
