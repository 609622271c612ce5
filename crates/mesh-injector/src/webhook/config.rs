//! One table of settings: flag, environment variable, default, meaning.

use std::path::PathBuf;

use mesh_runtime::{
    listen::{self, ListenAddress},
    log,
};

use crate::ProxyUser;

/// The sidecar injector of the mesh: an admission webhook that puts the proxy into pods as they are created.
///
/// Certificates come from the mesh's authority, by the pod's service account token, unless files are given. The settings
/// of injection are read from files, which an installation mounts from its ConfigMaps, and read again when they change.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "mesh-injector", version, max_term_width = 120, after_help = AFTER_HELP)]
pub struct Command {
    /// Policy, selectors, templates (key `config` of the ConfigMap istio-sidecar-injector).
    #[arg(
        long = "injectConfigFile",
        default_value = "/etc/istio/inject/config",
        value_name = "FILE",
        help_heading = "Injection"
    )]
    pub inject_config: PathBuf,
    /// Values of the installation (key `values` of the ConfigMap istio-sidecar-injector).
    #[arg(
        long = "valuesFile",
        default_value = "/etc/istio/inject/values",
        value_name = "FILE",
        help_heading = "Injection"
    )]
    pub values: PathBuf,
    /// MeshConfig (key `mesh` of the ConfigMap istio).
    #[arg(
        long = "meshConfigFile",
        default_value = "/etc/istio/config/mesh",
        value_name = "FILE",
        help_heading = "Injection"
    )]
    pub mesh_config: PathBuf,
    /// Revision of the control plane. Default: what the values say.
    #[arg(
        long,
        env = "REVISION",
        value_name = "NAME",
        help_heading = "Injection"
    )]
    pub revision: Option<String>,
    /// Native sidecars (init containers that stay): `auto` where every kubelet is 1.33 or newer.
    #[arg(long, env = "ENABLE_NATIVE_SIDECARS", value_enum, default_value_t = Native::Auto, help_heading = "Injection")]
    pub native_sidecars: Native,
    /// Seconds between the end of a pod's endpoint and that of its servers, which lets requests arrive that are on their
    /// way: containers with ports and without a `preStop` hook get one that sleeps, where every kubelet is 1.33 or newer.
    #[arg(
        long,
        env = "PRE_STOP_SLEEP_SECONDS",
        default_value_t = 5,
        value_name = "SECONDS",
        help_heading = "Injection"
    )]
    pub pre_stop_sleep: u32,
    /// What to do with pods whose application runs as the proxy's user (1337), which bypasses the mesh. Default: what the
    /// values say (`sidecarInjectorWebhook.proxyUser`), else `warn`.
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Injection")]
    pub proxy_user: Option<ProxyUser>,

    /// Reviews, over TLS.
    #[arg(long = "httpsAddr", default_value = ":15017", value_parser = listen::on, value_name = "ADDR", help_heading = "Ports")]
    pub https_addr: ListenAddress,
    /// Readiness and metrics.
    #[arg(long = "monitoringAddr", default_value = ":15014", value_parser = listen::on, value_name = "ADDR", help_heading = "Ports")]
    pub monitoring_addr: ListenAddress,

    /// The Service by which the API server calls us.
    #[arg(
        long,
        env = "SERVICE_NAME",
        default_value = "istio-sidecar-injector",
        value_name = "NAME",
        help_heading = "Certificates"
    )]
    pub service_name: String,
    /// Our namespace.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        default_value = "istio-system",
        value_name = "NAME",
        help_heading = "Certificates"
    )]
    pub namespace: String,
    /// The mesh's authority, `host:port`. Default: istiod.NAMESPACE.svc:15012.
    #[arg(
        long,
        env = "CA_ADDR",
        value_name = "ADDR",
        help_heading = "Certificates"
    )]
    pub ca_address: Option<String>,
    /// Our service account's token, of audience istio-ca.
    #[arg(
        long,
        default_value = "/var/run/secrets/tokens/istio-token",
        value_name = "FILE",
        help_heading = "Certificates"
    )]
    pub token: PathBuf,
    /// Certificate chain in PEM, instead of one of the authority; it is read again when it changes.
    #[arg(
        long,
        requires = "tls_key",
        value_name = "FILE",
        help_heading = "Certificates"
    )]
    pub tls_cert: Option<PathBuf>,
    /// Its key in PEM.
    #[arg(
        long,
        requires = "tls_cert",
        value_name = "FILE",
        help_heading = "Certificates"
    )]
    pub tls_key: Option<PathBuf>,
    /// Roots in PEM that the API server should trust. Default: the ConfigMap istio-ca-root-cert of our namespace.
    #[arg(long, value_name = "FILE", help_heading = "Certificates")]
    pub ca_root: Option<PathBuf>,

    /// Webhook configurations whose caBundle we keep, separated by commas.
    #[arg(
        long,
        env = "WEBHOOK_CONFIGS",
        value_delimiter = ',',
        value_name = "NAME",
        help_heading = "Cluster"
    )]
    pub webhook_config: Vec<String>,
    /// File that says which cluster this is. Default: the one that this process runs in, else the user's own file.
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,

    /// The log.
    #[command(flatten)]
    pub log: log::Flags,
    /// How long new connections are taken after SIGTERM, until the cluster sends no more.
    #[arg(
        long = "drainDelay",
        default_value = "3s",
        value_name = "DURATION",
        help_heading = "Process"
    )]
    pub drain_delay: jiff::SignedDuration,
    /// Longest time to finish after that.
    #[arg(
        long = "shutdownDuration",
        default_value = "10s",
        value_name = "DURATION",
        help_heading = "Process"
    )]
    pub shutdown_duration: jiff::SignedDuration,
}

const AFTER_HELP: &str = "\
Examples:
  mesh-injector --webhook-config istio-sidecar-injector          (in a pod)
  mesh-injector --tls-cert c.pem --tls-key k.pem --native-sidecars false --httpsAddr 127.0.0.1:15017   (no cluster needed)";

/// When pods get native sidecars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Native {
    /// Where every kubelet runs them.
    Auto,
    /// Always.
    True,
    /// Never.
    False,
}

impl Command {
    /// The name that the API server verifies.
    pub fn dns_name(&self) -> String {
        format!("{}.{}.svc", self.service_name, self.namespace)
    }

    /// Whether it matters how old the kubelets are.
    pub fn asks_for_kubelets(&self) -> bool {
        let is_in_a_cluster = !self.webhook_config.is_empty();
        self.native_sidecars == Native::Auto || (self.pre_stop_sleep > 0 && is_in_a_cluster)
    }

    /// Whether anything has to be asked of the API server.
    pub fn needs_cluster(&self) -> bool {
        let needs_roots = self.tls_cert.is_none() || !self.webhook_config.is_empty();
        (needs_roots && self.ca_root.is_none())
            || !self.webhook_config.is_empty()
            || self.asks_for_kubelets()
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_table_is_consistent() {
        Command::command().debug_assert();
        let command = Command::parse_from(["mesh-injector"]);
        assert_eq!(command.https_addr, ListenAddress::Everywhere(15017));
        assert_eq!(
            command.dns_name(),
            "istio-sidecar-injector.istio-system.svc"
        );
        assert!(command.needs_cluster());
    }

    #[test]
    fn no_port_can_be_switched_off() {
        for flag in ["--httpsAddr=", "--monitoringAddr="] {
            assert!(
                Command::try_parse_from(["mesh-injector", flag]).is_err(),
                "{flag}"
            );
        }
    }

    #[test]
    fn files_need_no_cluster() {
        let arguments = "mesh-injector --tls-cert a --tls-key b --native-sidecars false";
        let command = Command::parse_from(arguments.split(' '));
        assert!(!command.needs_cluster());
        assert!(Command::try_parse_from(["mesh-injector", "--tls-cert", "a"]).is_err());
    }
}
