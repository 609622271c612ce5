//! The command line's grammar: what can be typed. What it means is the commands' business.

mod kube_inject;
mod proxy_config;
mod proxy_status;
mod version;

use clap::{Parser, Subcommand};

pub(crate) use kube_inject::KubeInject;
pub(crate) use proxy_config::{
    AllFilter, ClusterFilter, EndpointFilter, ListenerFilter, LogLevels, Output, ProxyConfig,
    RouteFilter, Source,
};
pub(crate) use proxy_status::{ProxyStatus, StatusOutput};
pub(crate) use version::{Version, VersionOutput};

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
        env = "MESHCTL_NAMESPACE",
        hide_env_values = true
    )]
    pub(crate) namespace: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what a proxy has been told to do
    #[command(visible_alias = "pc", subcommand)]
    ProxyConfig(ProxyConfig),
    /// Shows which proxies have what the control plane sent them; with a pod, where the two differ
    #[command(visible_alias = "ps")]
    ProxyStatus(ProxyStatus),
    /// Puts the sidecar into the workloads of a manifest
    KubeInject(KubeInject),
    /// Shows the versions of this program, of the control plane and of the proxies
    Version(Version),
    /// Prints a script that completes commands in a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}
