//! `meshctl proxy-config …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The kinds of configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ProxyConfig {
    /// Listeners: what is accepted, and where each match of it goes
    #[command(alias = "listeners", alias = "l")]
    Listener {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: ListenerFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Routes: which requests go to which cluster
    #[command(alias = "routes", alias = "r")]
    Route {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: RouteFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Clusters: the services that can be called
    #[command(alias = "clusters", alias = "c")]
    Cluster {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: ClusterFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Endpoints: the addresses behind clusters and how they are doing
    #[command(alias = "endpoints", alias = "ep")]
    Endpoint {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: EndpointFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Endpoints as the control plane sent them
    #[command(hide = true)]
    Eds {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: EndpointFilter,
        #[command(flatten)]
        style: Style,
    },
}

/// Whose configuration.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The pod: [<type>/]<name>[.<namespace>]; `deployment/<name>` takes its first pod
    #[arg(
        value_name = "POD",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    pub(crate) pod: Option<String>,
    /// Reads a saved answer of a proxy's admin interface instead; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// How to print.
#[derive(Debug, Args)]
pub(crate) struct Style {
    /// Table, or the whole resources
    #[arg(short, long, value_enum, default_value_t = Output::Short)]
    pub(crate) output: Output,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table.
    #[value(alias = "table")]
    Short,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Which listeners.
#[derive(Debug, Default, Args)]
pub(crate) struct ListenerFilter {
    /// Only those that listen on this address
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Only those that listen on this port
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Only those of this type: HTTP, TCP, HTTP+TCP
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// One row for each match, not for each listener
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(crate) verbose: bool,
}

/// Which routes.
#[derive(Debug, Default, Args)]
pub(crate) struct RouteFilter {
    /// Only the route configuration of this name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// One row for each route, not for each configuration
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(crate) verbose: bool,
}

/// Which clusters; every text is looked for anywhere in the cluster's name.
#[derive(Debug, Default, Args)]
pub(crate) struct ClusterFilter {
    /// Only those whose name contains this host
    #[arg(long)]
    pub(crate) fqdn: Option<String>,
    /// Only those of this direction: inbound, outbound
    #[arg(long)]
    pub(crate) direction: Option<String>,
    /// Only those whose name contains this subset
    #[arg(long)]
    pub(crate) subset: Option<String>,
    /// Only those of this service port
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

/// Which endpoints.
#[derive(Debug, Default, Args)]
pub(crate) struct EndpointFilter {
    /// Only those of this address
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Only those of this port
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Only those of this cluster, by its whole name
    #[arg(long)]
    pub(crate) cluster: Option<String>,
    /// Only those of this status: healthy, unhealthy, draining, timeout, degraded, unknown
    #[arg(long)]
    pub(crate) status: Option<String>,
}
