//! One table of settings: flag, environment variable, default, meaning. [`Command`] is what was typed; [`Settings`] is
//! what it means, checked and complete, and the only form that the rest of the program sees.

mod dns_address; // where DNS queries are taken
mod errand; // what a running proxy is asked from its pod
mod node; // what the proxy says of itself
mod proxy_config; // the `PROXY_CONFIG` variable
mod settings; // what was typed → what it means
mod standalone; // a proxy of its own

pub use dns_address::{DnsAddress, InvalidDnsAddress};
pub use errand::{Request, Wait};
pub use node::{Node, texts};
pub use settings::{Addresses, Invalid, Paths, Settings};
pub use standalone::{Standalone, Unusable};

use std::{net::IpAddr, path::PathBuf, time::Duration};

/// The sidecar proxy of the mesh.
#[derive(Debug, clap::Parser)]
#[command(
    name = "mesh-proxy",
    version,
    about,
    max_term_width = 120,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true
)]
pub struct Command {
    /// What to run.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Without a verb: a proxy of its own.
    #[command(flatten)]
    pub standalone: Standalone,
}

/// What to run.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Run the proxy: data path, configuration by xDS, certificates, admin interface.
    Proxy {
        /// Kind of proxy.
        #[command(subcommand)]
        kind: Kind,
    },
    /// Get the workload's certificate and serve it to another data plane (such as Envoy) by SDS on a Unix socket.
    Agent(Box<Typed>),
    /// Wait until the proxy of this pod is ready: what holds the containers that start after it.
    Wait(Wait),
    /// Ask the admin interface of the proxy of this pod, or give it an order, and print the answer.
    Request(Request),
}

/// Kind of proxy.
#[derive(Debug, clap::Subcommand)]
pub enum Kind {
    /// Beside an application, in its pod.
    Sidecar(Box<Typed>),
}

/// What was typed, or set in the environment.
#[derive(Debug, clap::Args)]
pub struct Typed {
    /// DNS domain of the pod's namespace, such as `test.svc.cluster.local`.
    #[arg(long, default_value = "$(POD_NAMESPACE).svc.cluster.local")]
    pub domain: String,
    /// Level of the data plane's log: trace, debug, info, warning, error, critical, off.
    #[arg(long = "proxyLogLevel", default_value = "warning")]
    pub proxy_log_level: String,
    /// Levels of single components, `component:level,…`.
    #[arg(long = "proxyComponentLogLevel", default_value = "misc:error")]
    pub proxy_component_log_level: String,
    /// Level of the agent's log, `scope:level,…`.
    #[arg(long = "log_output_level", default_value = "default:info")]
    pub log_output_level: String,
    /// Worker threads; 0: one for each core. Default: `concurrency` of PROXY_CONFIG, else the CPU limit, else one for
    /// each core.
    #[arg(long)]
    pub concurrency: Option<usize>,

    /// Name of the pod.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: String,
    /// Namespace of the pod.
    #[arg(long, env = "POD_NAMESPACE")]
    pub pod_namespace: String,
    /// Address of the pod.
    #[arg(long, env = "INSTANCE_IP")]
    pub instance_ip: IpAddr,
    /// Service account of the pod.
    #[arg(long, env = "SERVICE_ACCOUNT", default_value = "default")]
    pub service_account: String,
    /// CPU limit in cores, rounded up.
    #[arg(long, env = "ISTIO_CPU_LIMIT")]
    pub cpu_limit: Option<usize>,
    /// Trust domain of the mesh.
    #[arg(long, env = "TRUST_DOMAIN", default_value = "cluster.local")]
    pub trust_domain: String,
    /// Address of the certificate authority, `host:port`. Default: the discovery address.
    #[arg(long, env = "CA_ADDR")]
    pub ca_addr: Option<String>,
    /// Where the application's DNS queries are taken if they are captured: `localhost:PORT` or a loopback address with a
    /// port. The rules send them to the usual one.
    #[arg(long, env = "DNS_PROXY_ADDR", default_value = "localhost:15053")]
    pub dns_proxy_addr: String,
    /// JSON of the non-default part of Istio's ProxyConfig.
    #[arg(long, env = "PROXY_CONFIG", default_value = "{}")]
    pub proxy_config: String,

    /// After SIGTERM, end as soon as there are no connections, however long that takes.
    #[arg(
        long,
        env = "EXIT_ON_ZERO_ACTIVE_CONNECTIONS",
        value_parser = clap::builder::BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true"
    )]
    pub exit_on_zero_active_connections: bool,
    /// With EXIT_ON_ZERO_ACTIVE_CONNECTIONS: how long to go on at least, for clients that do not know yet.
    #[arg(
        long,
        env = "MINIMUM_DRAIN_DURATION",
        value_parser = proxy_config::typed_duration,
        default_value = "5s"
    )]
    pub minimum_drain_duration: Duration,

    /// Token that proves the service account.
    #[arg(
        long,
        env = "TOKEN_PATH",
        default_value = "/var/run/secrets/tokens/istio-token"
    )]
    pub token_path: PathBuf,
    /// Roots under which the control plane's certificate must be.
    #[arg(
        long,
        env = "CA_ROOT_PATH",
        default_value = "/var/run/secrets/istio/root-cert.pem"
    )]
    pub ca_root_path: PathBuf,
    /// Socket on which `agent` serves SDS.
    #[arg(
        long,
        env = "SDS_SOCKET",
        default_value = "/var/run/secrets/workload-spiffe-uds/socket"
    )]
    pub sds_socket: PathBuf,
    /// Folder of the downward API, with the file `labels`.
    #[arg(long, env = "POD_INFO_DIR", default_value = "/etc/istio/pod")]
    pub pod_info_dir: PathBuf,
}
