//! `meshctl version`.

use clap::{Args, ValueEnum};

/// Whose versions, and how to print them.
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// One line for each version; --short=false: one for each part of the mesh
    #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(crate) short: bool,
    /// Asks the control plane too; --remote=false: only this program's version
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(crate) remote: bool,
    /// Only control planes of this revision
    #[arg(short, long, value_name = "NAME")]
    pub(crate) revision: Option<String>,
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
