//! What was typed → what it means, checked, with all errors at once.

use super::Typed;
use crate::ca::{lifetime::Lifetime, token::TokenSettings};
use mesh_api::{access::Access, mesh_config::MeshConfig};
use mesh_runtime::{listen::ListenAddress, log};
use std::{fs, path::PathBuf, time::Duration};

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the objects come from.
    pub source: SourceSettings,
    /// Settings of the mesh from a file; `None`: they come from the manifests.
    pub mesh_config: Option<MeshConfig>,
    /// DNS domain of the cluster.
    pub domain: String,
    /// Name of the cluster.
    pub cluster_id: String,
    /// Namespace of the control plane.
    pub namespace: String,
    /// Name of the ConfigMap with the settings of the mesh.
    pub mesh_config_map: String,
    /// Name of this replica.
    pub pod_name: String,
    /// Debug pages and readiness.
    pub http: ListenAddress,
    /// xDS in plaintext.
    pub grpc: ListenAddress,
    /// xDS and certificates over TLS.
    pub secure_grpc: ListenAddress,
    /// Metrics.
    pub monitoring: ListenAddress,
    /// Folder of the authority.
    pub ca_dir: PathBuf,
    /// What tokens are checked against, where that is not the API server.
    pub tokens: Option<TokenSettings>,
    /// Audiences of which tokens must name one.
    pub token_audiences: Vec<String>,
    /// Names of the control plane's own certificate.
    pub dns_names: Vec<String>,
    /// Lifetimes of workload certificates.
    pub lifetime: Lifetime,
    /// How long after its last checked token a workload may renew by its certificate, while tokens cannot be checked.
    pub renewal_without_token: Duration,
    /// When changes are pushed.
    pub debounce: Debounce,
    /// After which a stalled proxy is disconnected.
    pub send_timeout: Duration,
    /// After which any proxy is.
    pub max_connection_age: Option<Duration>,
    /// The log.
    pub log: log::Flags,
    /// Longest time to finish.
    pub shutdown_duration: Duration,
    /// What a file said but is not executed, for the log.
    pub ignored: Vec<String>,
    /// What was typed and has no effect, for the log.
    pub unused: Vec<String>,
}

/// Where the objects come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSettings {
    /// A folder of manifests.
    Folder(PathBuf),
    /// A cluster.
    Cluster(Access),
}

/// When changes are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debounce {
    /// Quiet time before a push.
    pub after: Duration,
    /// Longest wait for quiet.
    pub max: Duration,
}

impl Default for Debounce {
    fn default() -> Self {
        Self {
            after: Duration::from_millis(100),
            max: Duration::from_secs(10),
        }
    }
}

/// Where an authority's files are mounted in a pod (the Secret `cacerts`).
const MOUNTED_CA: &str = "/etc/cacerts";
/// Where they lie without a cluster.
const OWN_CA: &str = "./ca";

/// Settings that can't be executed, all of them, each with a hint where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Invalid(pub Vec<String>);

impl Settings {
    /// Checks and completes what was typed.
    ///
    /// # Errors
    /// Names every setting that can't be executed.
    pub fn new(typed: Typed) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let mesh = typed
            .mesh_config
            .as_ref()
            .and_then(|file| check.mesh_config(file));
        let source = check.source(typed.config_dir, typed.kubeconfig, typed.context);
        check.registries(&typed.registries);
        check.names(&typed.dns_names);
        let dns_names = match typed.dns_names {
            names if names.is_empty() => own_names(&typed.namespace, &typed.domain),
            names => names,
        };
        let lifetime = Lifetime {
            default: check.duration("--workload-cert-ttl", typed.workload_cert_ttl),
            max: check.duration("--max-workload-cert-ttl", typed.max_workload_cert_ttl),
        };
        check.no_longer(
            ("--workload-cert-ttl", lifetime.default),
            ("--max-workload-cert-ttl", lifetime.max),
        );
        let debounce = Debounce {
            after: check.duration("PILOT_DEBOUNCE_AFTER", typed.debounce_after),
            max: check.duration("PILOT_DEBOUNCE_MAX", typed.debounce_max),
        };
        check.no_longer(
            ("PILOT_DEBOUNCE_AFTER", debounce.after),
            ("PILOT_DEBOUNCE_MAX", debounce.max),
        );
        let age = check.duration(
            "--keepaliveMaxServerConnectionAge",
            typed.max_connection_age,
        );
        if typed.token_key.is_none() && typed.token_issuer.is_some() {
            check.error(
                "--token-issuer: has no meaning without a key",
                "--token-key FILE gives the issuer's public key",
            );
        }
        let in_cluster = matches!(source, SourceSettings::Cluster(_));
        if typed.token_key.is_some() && in_cluster {
            check.error(
                "--token-key: has no meaning with a cluster",
                "the API server checks the tokens that it has issued",
            );
        }
        let ca_dir = if in_cluster { MOUNTED_CA } else { OWN_CA };
        let tokens = typed.token_key.map(|key_file| TokenSettings {
            key_file,
            issuer: typed.token_issuer,
            audiences: typed.token_audience.clone(),
        });
        let settings = Self {
            source,
            mesh_config: mesh,
            domain: typed.domain,
            cluster_id: typed.cluster_id,
            namespace: typed.namespace,
            mesh_config_map: mesh_config_map(&typed.revision),
            pod_name: typed.pod_name,
            http: typed.http_addr,
            grpc: typed.grpc_addr,
            secure_grpc: typed.secure_grpc_addr,
            monitoring: typed.monitoring_addr,
            ca_dir: typed.ca_dir.unwrap_or_else(|| ca_dir.into()),
            tokens,
            token_audiences: typed.token_audience,
            dns_names,
            lifetime,
            renewal_without_token: check
                .duration("--renewal-without-token", typed.renewal_without_token),
            debounce,
            send_timeout: check.duration("PILOT_XDS_SEND_TIMEOUT", typed.send_timeout),
            max_connection_age: (age > Duration::ZERO).then_some(age),
            log: typed.log,
            shutdown_duration: check.duration("--shutdownDuration", typed.shutdown_duration),
            ignored: check.ignored,
            unused: typed.unused.explain(),
        };
        match check.errors.is_empty() {
            true => Ok(settings),
            false => Err(Invalid(check.errors)),
        }
    }
}

/// The names under which proxies look for the control plane.
fn own_names(namespace: &str, domain: &str) -> Vec<String> {
    let short = format!("istiod.{namespace}");
    let of_service = [
        "istiod".into(),
        format!("{short}.svc"),
        format!("{short}.svc.{domain}"),
        short,
    ];
    let of_machine = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    of_service.into_iter().chain(of_machine).collect()
}

/// Where the settings of a revision are.
fn mesh_config_map(revision: &str) -> String {
    match revision {
        "" | "default" => "istio".into(),
        revision => format!("istio-{revision}"),
    }
}

#[derive(Default)]
struct Check {
    errors: Vec<String>,
    ignored: Vec<String>,
}

impl Check {
    fn error(&mut self, what: impl Into<String>, hint: &str) {
        self.errors.push(format!("{}\nhint: {hint}", what.into()));
    }

    fn mesh_config(&mut self, file: &PathBuf) -> Option<MeshConfig> {
        let hint =
            "a file with Istio's MeshConfig in YAML, such as the key `mesh` of its ConfigMap";
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) => {
                self.error(
                    format!("--meshConfig: cannot read {}: {e}", file.display()),
                    hint,
                );
                return None;
            }
        };
        match MeshConfig::read(&text) {
            Ok(read) => {
                self.ignored
                    .extend(read.unknown.iter().map(ToString::to_string));
                Some(read.value)
            }
            Err(e) => {
                self.error(format!("--meshConfig: {}: {e}", file.display()), hint);
                None
            }
        }
    }

    fn source(
        &mut self,
        folder: Option<PathBuf>,
        kubeconfig: Option<PathBuf>,
        context: Option<String>,
    ) -> SourceSettings {
        let Some(folder) = folder else {
            return SourceSettings::Cluster(Access {
                kubeconfig,
                context,
                ..Access::default()
            });
        };
        if kubeconfig.is_some() || context.is_some() {
            self.error(
                "--config-dir: has no meaning beside --kubeconfig or --context",
                "a folder is read instead of a cluster: leave one of them out",
            );
        }
        self.folder(&folder);
        SourceSettings::Folder(folder)
    }

    fn folder(&mut self, folder: &PathBuf) {
        if let Err(e) = fs::read_dir(folder) {
            let what = format!(
                "--config-dir: cannot read the folder {}: {e}",
                folder.display()
            );
            self.error(what, "a folder of Kubernetes YAML that this user may read");
        }
    }

    fn registries(&mut self, names: &[String]) {
        for name in names.iter().filter(|name| *name != "Kubernetes") {
            self.error(
                format!("--registries: `{name}` is not read by this version"),
                "Kubernetes is the one that is; --config-dir reads its objects from a folder",
            );
        }
    }

    fn names(&mut self, names: &[String]) {
        for name in names
            .iter()
            .filter(|name| name.is_empty() || !name.is_ascii())
        {
            self.error(
                format!("--dns-names: `{name}` is no DNS name"),
                "names are separated by commas",
            );
        }
    }

    fn duration(&mut self, setting: &str, typed: jiff::SignedDuration) -> Duration {
        Duration::try_from(typed).unwrap_or_else(|_| {
            self.error(
                format!("{setting}: {typed} is negative"),
                "a duration such as 100ms, 10s or 24h",
            );
            Duration::ZERO
        })
    }

    fn no_longer(&mut self, (short, a): (&str, Duration), (long, b): (&str, Duration)) {
        if a > b {
            self.error(
                format!("{short} ({a:?}) is longer than {long} ({b:?})"),
                "raise the one or lower the other",
            );
        }
    }
}
