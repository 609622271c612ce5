//! `meshctl proxy-config …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Types of listeners, as their table has them.
const TYPES: [&str; 4] = ["HTTP", "TCP", "HTTP+TCP", "UNKNOWN"];
/// Directions in clusters' names.
const DIRECTIONS: [&str; 2] = ["inbound", "outbound"];
/// Health of endpoints, as their table has it.
const STATUSES: [&str; 6] = [
    "healthy",
    "unhealthy",
    "draining",
    "timeout",
    "degraded",
    "unknown",
];

/// The kinds of configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ProxyConfig {
    /// Listeners: what is accepted, and where each match of it goes
    #[command(visible_alias = "l", alias = "listeners")]
    Listener {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: ListenerFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Routes: which requests go to which cluster
    #[command(visible_alias = "r", alias = "routes")]
    Route {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: RouteFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Clusters: the services that can be called
    #[command(visible_alias = "c", alias = "clusters")]
    Cluster {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: ClusterFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Endpoints: the addresses behind clusters and how they are doing
    #[command(visible_alias = "ep", alias = "endpoints")]
    Endpoint {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: EndpointFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Certificates and trusted roots; keys are never shown
    #[command(visible_alias = "s", alias = "secrets")]
    Secret {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        style: Style,
    },
    /// Parts of listeners that are sent by themselves (ECDS)
    #[command(visible_alias = "ec")]
    Ecds {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        style: Style,
    },
    /// Tells whether two proxies trust the same roots
    #[command(visible_alias = "rc")]
    RootcaCompare {
        /// One pod: [<type>/]<name>[.<namespace>]
        #[arg(value_name = "POD")]
        one: String,
        /// The other
        #[arg(value_name = "POD")]
        other: String,
        #[command(flatten)]
        admin: Admin,
    },
    /// What the proxy was started with
    #[command(visible_alias = "b")]
    Bootstrap {
        #[command(flatten)]
        source: Source,
        /// The whole bootstrap, or the versions in it
        #[arg(short, long, value_enum, default_value_t = Output::Json)]
        output: Output,
    },
    /// All tables
    #[command(visible_alias = "a")]
    All {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        filter: AllFilter,
        #[command(flatten)]
        style: Style,
    },
    /// Shows and changes what a running proxy logs
    #[command(visible_alias = "o")]
    Log {
        #[command(flatten)]
        pods: Pods,
        #[command(flatten)]
        levels: LogLevels,
        #[command(flatten)]
        admin: Admin,
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
    #[command(flatten)]
    pub(crate) admin: Admin,
}

/// Where proxies answer.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Admin {
    /// Port of the pod on which its proxy answers
    #[arg(long, value_name = "PORT", default_value_t = mesh_model::port::ADMIN,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) proxy_admin_port: u16,
}

/// Whose logs.
#[derive(Debug, Args)]
pub(crate) struct Pods {
    /// The pods: [<type>/]<name>[.<namespace>]
    #[arg(value_name = "POD", required_unless_present = "selector")]
    pub(crate) typed: Vec<String>,
    /// All running pods with these labels, instead
    #[arg(
        short = 'l',
        long,
        value_name = "KEY=VALUE,…",
        conflicts_with = "typed"
    )]
    pub(crate) selector: Option<String>,
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
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = TYPES, ignore_case = true)]
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
    /// Only those of this direction
    #[arg(long, value_parser = DIRECTIONS)]
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
    /// Only those of this status
    #[arg(long, value_parser = STATUSES, ignore_case = true)]
    pub(crate) status: Option<String>,
}

/// Which of everything; each word filters the tables that know it.
#[derive(Debug, Default, Args)]
pub(crate) struct AllFilter {
    /// Only listeners and endpoints of this address
    #[arg(long)]
    address: Option<String>,
    /// Only listeners, clusters and endpoints of this port
    #[arg(long)]
    port: Option<u16>,
    /// Only listeners of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = TYPES, ignore_case = true)]
    kind: Option<String>,
    /// Only the route configuration of this name
    #[arg(long)]
    name: Option<String>,
    /// Only clusters whose name contains this host
    #[arg(long)]
    fqdn: Option<String>,
    /// Only clusters of this direction
    #[arg(long, value_parser = DIRECTIONS)]
    direction: Option<String>,
    /// Only clusters whose name contains this subset
    #[arg(long)]
    subset: Option<String>,
    /// Only endpoints of this cluster
    #[arg(long)]
    cluster: Option<String>,
    /// Only endpoints of this status
    #[arg(long, value_parser = STATUSES, ignore_case = true)]
    status: Option<String>,
    /// One row for each match and route, not for each listener and configuration
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    verbose: bool,
    /// Writes a title above each table
    #[arg(long)]
    pub(crate) with_headers: bool,
}

impl AllFilter {
    pub(crate) fn listener(&self) -> ListenerFilter {
        ListenerFilter {
            address: self.address.clone(),
            port: self.port,
            kind: self.kind.clone(),
            verbose: self.verbose,
        }
    }

    pub(crate) fn route(&self) -> RouteFilter {
        RouteFilter {
            name: self.name.clone(),
            verbose: self.verbose,
        }
    }

    pub(crate) fn cluster(&self) -> ClusterFilter {
        ClusterFilter {
            fqdn: self.fqdn.clone(),
            direction: self.direction.clone(),
            subset: self.subset.clone(),
            port: self.port,
        }
    }

    pub(crate) fn endpoint(&self) -> EndpointFilter {
        EndpointFilter {
            address: self.address.clone(),
            port: self.port,
            cluster: self.cluster.clone(),
            status: self.status.clone(),
        }
    }
}

/// What a proxy should log.
#[derive(Debug, Args)]
pub(crate) struct LogLevels {
    /// `<level>` for all loggers, `<logger>:<level>` for one; several with commas. Levels: trace, debug, info,
    /// warning, error, critical, off
    #[arg(long, value_delimiter = ',', conflicts_with = "reset")]
    pub(crate) level: Vec<String>,
    /// Sets all loggers to their default, warning
    #[arg(short, long)]
    pub(crate) reset: bool,
}
