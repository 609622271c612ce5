//! `meshctl proxy-status`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Admin;

/// Which proxies, and how to print them.
#[derive(Debug, Args)]
pub(crate) struct ProxyStatus {
    /// Compares this pod's configuration with what the control plane has for it: [<type>/]<name>[.<namespace>]
    pub(crate) pod: Option<String>,
    /// Reads the pod's configuration from a saved config dump; `-` is standard input
    #[arg(short, long, value_name = "FILE", requires = "pod")]
    pub(crate) file: Option<PathBuf>,
    /// Table, or what the control plane answers
    #[arg(short, long, value_enum, default_value_t = StatusOutput::Table, conflicts_with = "pod")]
    pub(crate) output: StatusOutput,
    /// 0: a row with the types that a proxy has; 1: a column for each type with its state and age
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) verbosity: u8,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusOutput {
    /// A table.
    #[value(alias = "short")]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}
