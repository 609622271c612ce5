//! `meshctl admin`.

use clap::{Args, Subcommand, ValueEnum};

/// What is done to control planes.
#[derive(Debug, Subcommand)]
pub(crate) enum ControlPlane {
    /// Shows and changes what running control planes log
    Log(ControlPlaneLog),
}

/// Whose log, and what it should hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Levels hold until the process ends.

Examples:
  meshctl admin log                              the levels of the first control plane
  meshctl admin log --level ads:debug,kube:warn  sets two of all control planes
  meshctl admin log istiod-5c4b6d8f9-x2v7k --reset")]
pub(crate) struct ControlPlaneLog {
    /// One of its pods: [<type>/]<name>[.<namespace>]. Default: all that are ready
    pub(crate) pod: Option<String>,
    /// `<scope>:<level>` for one scope, `<level>` for all; several with commas. Levels: none, error, warn, info, debug,
    /// trace
    #[arg(long, value_delimiter = ',', conflicts_with = "reset")]
    pub(crate) level: Vec<String>,
    /// Sets all scopes to their default, info
    #[arg(short, long)]
    pub(crate) reset: bool,
    /// Only control planes of this revision
    #[arg(long, value_name = "NAME", conflicts_with = "pod")]
    pub(crate) revision: Option<String>,
    /// Table, or the scopes as the control plane tells them
    #[arg(short, long, value_enum, default_value_t = ScopesOutput::Short)]
    pub(crate) output: ScopesOutput,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopesOutput {
    /// A table.
    #[value(alias = "table")]
    Short,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}
