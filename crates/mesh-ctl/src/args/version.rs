//! `meshctl version`.

use clap::{Args, ValueEnum};

/// Whose versions, and how to print them.
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Only version numbers
    #[arg(short, long)]
    pub(crate) short: bool,
    /// Asks the control plane too
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(crate) remote: bool,
    /// Instead of lines
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<VersionOutput>,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VersionOutput {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}
