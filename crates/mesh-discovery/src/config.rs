//! One table of settings: flag, environment variable, default, meaning. [`Command`] is what was typed; [`Settings`] is
//! what it means, checked and complete, and the only form that the rest of the program sees.

mod settings; // what was typed → what it means
mod unused; // what means nothing here

pub use settings::{Debounce, Invalid, Settings, SourceSettings};
pub use unused::Unused;

use mesh_runtime::{listen::ListenAddress, log};
use std::path::PathBuf;

/// The control plane of the mesh.
#[derive(Debug, clap::Parser)]
#[command(name = "mesh-discovery", version, about, max_term_width = 120)]
pub struct Command {
    /// What to run.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to run.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Serve configuration (xDS) and certificates to the proxies of the mesh.
    ///
    /// Reads Kubernetes objects, turns them into Envoy's configuration and serves it over ADS; signs the workloads'
    /// certificates. Every setting has a flag, most have an environment variable too; a flag wins.
    #[command(after_help = AFTER_HELP)]
    Discovery(Box<Typed>),
}

const AFTER_HELP: &str = "\
Examples:
  mesh-discovery discovery                          (in a pod: watches its cluster)
  mesh-discovery discovery --kubeconfig ./admin.conf
  mesh-discovery discovery --config-dir ./manifests --ca-dir ./ca --token-key ./issuer.pub.pem

Ports: 8080 debug and readiness (loopback), 15010 xDS without TLS (loopback), 15012 xDS and certificates over TLS,
15014 metrics. An address is `host:port`, or `:port` for all interfaces; an empty one switches the port off.";

/// What was typed, or set in the environment.
#[derive(Debug, clap::Args)]
pub struct Typed {
    /// Folder of Kubernetes and Istio YAML, instead of a cluster; it is watched.
    #[arg(
        long,
        alias = "configDir",
        value_name = "DIR",
        help_heading = "Sources"
    )]
    pub config_dir: Option<PathBuf>,
    /// File that says which cluster to watch. Default: the cluster that this process runs in, else the user's own file
    /// (KUBECONFIG, ~/.kube/config).
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one if this is not given.
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub context: Option<String>,
    /// File with Istio's MeshConfig; it is read at the start. Default: the ConfigMap `istio` (`istio-REV` of a revision),
    /// which is followed, else Istio's defaults.
    #[arg(long = "meshConfig", value_name = "FILE", help_heading = "Sources")]
    pub mesh_config: Option<PathBuf>,
    /// The revision of this control plane: its settings are those of the ConfigMap `istio-REV`.
    #[arg(
        long,
        env = "REVISION",
        default_value = "default",
        value_name = "REV",
        help_heading = "Sources"
    )]
    pub revision: String,
    /// Where services come from: Kubernetes, whether its objects are in a cluster or in a folder.
    #[arg(
        long,
        default_value = "Kubernetes",
        value_delimiter = ',',
        value_name = "NAME",
        help_heading = "Sources"
    )]
    pub registries: Vec<String>,
    /// DNS domain of the cluster.
    #[arg(
        long,
        overrides_with = "domain",
        default_value = "cluster.local",
        help_heading = "Sources"
    )]
    pub domain: String,
    /// Name of the cluster.
    #[arg(
        long = "clusterID",
        overrides_with = "cluster_id",
        env = "CLUSTER_ID",
        default_value = "Kubernetes",
        help_heading = "Sources"
    )]
    pub cluster_id: String,
    /// Namespace of the control plane: identities of it may read all debug pages.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        default_value = "istio-system",
        help_heading = "Sources"
    )]
    pub namespace: String,
    /// Name by which this replica calls itself.
    #[arg(
        long,
        env = "POD_NAME",
        default_value = "mesh-discovery",
        help_heading = "Sources"
    )]
    pub pod_name: String,

    /// Debug pages and readiness.
    #[arg(
        long = "httpAddr",
        default_value = "127.0.0.1:8080",
        value_name = "ADDR",
        help_heading = "Ports"
    )]
    pub http_addr: ListenAddress,
    /// xDS without TLS and without authentication.
    #[arg(
        long = "grpcAddr",
        default_value = "127.0.0.1:15010",
        value_name = "ADDR",
        help_heading = "Ports"
    )]
    pub grpc_addr: ListenAddress,
    /// xDS and certificates over TLS, authenticated.
    #[arg(
        long = "secureGRPCAddr",
        default_value = ":15012",
        value_name = "ADDR",
        help_heading = "Ports"
    )]
    pub secure_grpc_addr: ListenAddress,
    /// Metrics, and debug pages for who is authenticated.
    #[arg(
        long = "monitoringAddr",
        default_value = ":15014",
        value_name = "ADDR",
        help_heading = "Ports"
    )]
    pub monitoring_addr: ListenAddress,

    /// Folder of the certificate authority: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem. Default: /etc/cacerts
    /// with a cluster, where an empty or missing one means the Secret istio-ca-secret; else ./ca, where an empty one
    /// gets a self-signed root.
    #[arg(
        long,
        env = "CA_DIR",
        value_name = "DIR",
        help_heading = "Certificates"
    )]
    pub ca_dir: Option<PathBuf>,
    /// Public key (PEM) or keys (JWK set) of the issuer of service account tokens, for --config-dir. Without it only
    /// certificates authenticate. With a cluster the API server is asked instead.
    #[arg(
        long,
        env = "TOKEN_KEY",
        value_name = "FILE",
        help_heading = "Certificates"
    )]
    pub token_key: Option<PathBuf>,
    /// Issuer that tokens must name (`iss`). Default: any that the key signed.
    #[arg(
        long,
        env = "TOKEN_ISSUER",
        value_name = "URL",
        help_heading = "Certificates"
    )]
    pub token_issuer: Option<String>,
    /// Audiences of which tokens must name one (`aud`).
    #[arg(
        long,
        env = "TOKEN_AUDIENCES",
        default_value = "istio-ca",
        value_delimiter = ',',
        value_name = "NAME",
        help_heading = "Certificates"
    )]
    pub token_audience: Vec<String>,
    /// DNS names and addresses in the control plane's own certificate. Default: `istiod` and `istiod.NAMESPACE` with the
    /// forms that the cluster's DNS gives it, and this machine's own names.
    #[arg(
        long,
        env = "DNS_NAMES",
        value_delimiter = ',',
        value_name = "NAME",
        help_heading = "Certificates"
    )]
    pub dns_names: Vec<String>,
    /// Lifetime of workload certificates whose request names none.
    #[arg(
        long,
        env = "DEFAULT_WORKLOAD_CERT_TTL",
        default_value = "24h",
        value_name = "DURATION",
        help_heading = "Certificates"
    )]
    pub workload_cert_ttl: jiff::SignedDuration,
    /// Longest lifetime of workload certificates.
    #[arg(
        long,
        env = "MAX_WORKLOAD_CERT_TTL",
        default_value = "2160h",
        value_name = "DURATION",
        help_heading = "Certificates"
    )]
    pub max_workload_cert_ttl: jiff::SignedDuration,
    /// While the API server does not check tokens, a workload may renew by its certificate for so long after its last
    /// token that was checked; 0 for never.
    #[arg(
        long,
        env = "RENEWAL_WITHOUT_TOKEN",
        default_value = "72h",
        value_name = "DURATION",
        help_heading = "Certificates"
    )]
    pub renewal_without_token: jiff::SignedDuration,

    /// Quiet time after a change before it is pushed.
    #[arg(
        long,
        env = "PILOT_DEBOUNCE_AFTER",
        default_value = "100ms",
        value_name = "DURATION",
        help_heading = "Pushes"
    )]
    pub debounce_after: jiff::SignedDuration,
    /// Longest time that a change waits for quiet.
    #[arg(
        long,
        env = "PILOT_DEBOUNCE_MAX",
        default_value = "10s",
        value_name = "DURATION",
        help_heading = "Pushes"
    )]
    pub debounce_max: jiff::SignedDuration,
    /// A proxy that takes no response for so long is disconnected.
    #[arg(
        long,
        env = "PILOT_XDS_SEND_TIMEOUT",
        default_value = "20s",
        value_name = "DURATION",
        help_heading = "Pushes"
    )]
    pub send_timeout: jiff::SignedDuration,
    /// Age, more or less, at which a proxy's connection ends and is made anew, so that proxies spread over replicas; 0 for
    /// none.
    #[arg(
        long = "keepaliveMaxServerConnectionAge",
        overrides_with = "max_connection_age",
        default_value = "0s",
        value_name = "DURATION",
        help_heading = "Pushes"
    )]
    pub max_connection_age: jiff::SignedDuration,

    /// The log.
    #[command(flatten)]
    pub log: log::Flags,
    /// Longest time to finish after SIGTERM.
    #[arg(
        long = "shutdownDuration",
        default_value = "10s",
        value_name = "DURATION",
        help_heading = "Process"
    )]
    pub shutdown_duration: jiff::SignedDuration,

    /// What means nothing here.
    #[command(flatten)]
    pub unused: Unused,
}

#[cfg(test)]
mod tests;
