//! The command line's grammar: what can be typed. What it means is the commands' business.

mod proxy_config;

use clap::{Parser, Subcommand};

pub(crate) use proxy_config::{
    ClusterFilter, EndpointFilter, ListenerFilter, Output, ProxyConfig, RouteFilter, Source,
};

/// Looks into a running mesh.
#[derive(Debug, Parser)]
#[command(name = "meshctl", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// Namespace of what is named without one
    #[arg(
        short,
        long,
        global = true,
        default_value = "default",
        env = "MESHCTL_NAMESPACE"
    )]
    pub(crate) namespace: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what a proxy has been told to do
    #[command(alias = "pc", subcommand)]
    ProxyConfig(ProxyConfig),
}
