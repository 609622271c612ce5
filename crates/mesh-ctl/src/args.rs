//! The command line's grammar: what can be typed. What it means is the commands' business.

mod check_inject;
mod control_plane;
mod dashboard;
mod describe;
mod injector;
mod install;
mod internal_debug;
mod kube_inject;
mod proxy_config;
mod proxy_status;
mod version;

use clap::{Parser, Subcommand};

pub(crate) use check_inject::CheckInject;
pub(crate) use control_plane::{ControlPlane, ControlPlaneLog, ScopesOutput};
pub(crate) use dashboard::{Dashboard, Local, Of};
pub(crate) use describe::{Describe, DescribePod, DescribeService};
pub(crate) use injector::Injector;
pub(crate) use install::{Install, Manifest, Uninstall, Wanted};
pub(crate) use internal_debug::InternalDebug;
pub(crate) use kube_inject::KubeInject;
pub(crate) use proxy_config::{
    Admin, AllFilter, ClusterFilter, EndpointFilter, ListenerFilter, LogLevels, Output, Pods,
    ProxyConfig, RouteFilter, Source,
};
pub(crate) use proxy_status::{ProxyStatus, StatusOutput};
pub(crate) use version::{Version, VersionOutput};

/// Brings a mesh into a cluster, and looks into a running one.
#[derive(Debug, Parser)]
#[command(name = "meshctl", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// Namespace of what is named without one. Default: that of the context, else `default`
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME",
        env = "MESHCTL_NAMESPACE",
        hide_env_values = true,
        help_heading = "Which cluster"
    )]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: crate::fetch::ClusterOptions,
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
    /// Tells which webhook would put the sidecar into a pod, and why or why not
    CheckInject(CheckInject),
    /// Opens the pages of a proxy or of the control plane in a browser
    #[command(visible_aliases = ["dash", "d"], subcommand)]
    Dashboard(Dashboard),
    /// Steers running control planes
    #[command(visible_alias = "istiod", subcommand)]
    Admin(ControlPlane),
    /// What istioctl keeps here: check-inject, describe, injector, internal-debug
    #[command(visible_aliases = ["x", "exp"], subcommand)]
    Experimental(Experimental),
    /// Brings the mesh into a cluster; doing it again changes nothing
    #[command(visible_alias = "apply")]
    Install(Install),
    /// Takes the mesh out of a cluster
    Uninstall(Uninstall),
    /// The objects of an installation
    #[command(subcommand)]
    Manifest(Manifest),
    /// Shows the versions of this program, of the control plane and of the proxies
    Version(Version),
    /// Prints a script that completes commands in a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The commands below `experimental`.
#[derive(Debug, Subcommand)]
pub(crate) enum Experimental {
    /// Tells which webhook would put the sidecar into a pod, and why or why not
    CheckInject(CheckInject),
    /// Describes a pod or a service as the mesh sees it
    #[command(visible_alias = "des", subcommand)]
    Describe(Describe),
    /// Tells who injects what
    #[command(subcommand)]
    Injector(Injector),
    /// Prints a debug page of the control plane
    InternalDebug(InternalDebug),
}
