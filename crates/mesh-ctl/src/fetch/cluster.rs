//! A cluster: who we are to it, its pods, and ports of them brought here through the API server, as `kubectl port-forward`
//! does.

use std::path::PathBuf;
use std::time::Duration;

use kube::api::{ListParams, ObjectList};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Api, Client, Config};
use mesh_api::k8s::api::core::v1::Pod;
use tokio::io::{AsyncRead, AsyncWrite};

use super::PodName;

/// Longest wait for a connection to the API server.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for an answer of it.
const ANSWER: Duration = Duration::from_secs(60);

/// Which cluster, in kubectl's words.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ClusterOptions {
    /// File that says which cluster. Default: KUBECONFIG, else ~/.kube/config, else the cluster this runs in
    #[arg(short = 'c', long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of that file
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Namespace of the control plane
    #[arg(
        short = 'i',
        long = "istioNamespace",
        global = true,
        value_name = "NAME",
        default_value = "istio-system",
        env = "MESHCTL_ISTIONAMESPACE"
    )]
    pub(crate) istio_namespace: String,
}

impl ClusterOptions {
    /// Whether the user says which cluster, so that nothing else can be meant.
    pub(super) fn is_named(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }
}

/// Whether anything says which cluster, if the user does not.
pub(super) fn is_configured() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let home = std::env::var_os("HOME").map(PathBuf::from);
    set("KUBECONFIG")
        || set("KUBERNETES_SERVICE_HOST")
        || home.is_some_and(|home| home.join(".kube/config").is_file())
}

/// Why a cluster did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// Nothing says which cluster.
    #[error("no cluster is configured")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// The API server refused or did not answer.
    #[error("the cluster did not do it: {0}")]
    Api(Box<kube::Error>),
    /// It is not there.
    #[error("there is no pod `{0}`")]
    NoPod(String),
    /// No control plane.
    #[error("no ready control plane pods in namespace {0:?}")]
    NoControlPlane(String),
    /// The port could not be brought here.
    #[error("port {0} of the pod is not reachable through the API server")]
    NoPort(u16),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

impl Error {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Kubeconfig(_) | Self::NoCluster(_) => {
                "--kubeconfig FILE and --context NAME choose a cluster".into()
            }
            Self::Api(error) => match &**error {
                kube::Error::Api(status) if status.code == 403 => {
                    "your user may not do this in the cluster".into()
                }
                kube::Error::Api(_) => "see the message of the API server above".into(),
                _ => "is the API server running, and is it the one of this context?".into(),
            },
            Self::NoPod(_) => "a pod is named <name>.<namespace>, or by -n <namespace>; deploy/<name> takes any pod of it".into(),
            Self::NoControlPlane(_) => "install one with `meshctl install`, or name its namespace with -i".into(),
            Self::NoPort(_) => "is the proxy of the pod running?".into(),
        }
    }
}

/// A cluster that can be asked.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) istio_namespace: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

impl Cluster {
    /// Reads the kubeconfig; nothing is connected yet.
    ///
    /// # Errors
    /// If it says nothing that can be used.
    pub(crate) async fn open(options: &ClusterOptions) -> Result<Self, Error> {
        let choice = KubeConfigOptions {
            context: options.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = match &options.kubeconfig {
            Some(file) => {
                Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &choice).await?
            }
            None if options.context.is_some() => Config::from_kubeconfig(&choice).await?,
            None => Config::infer().await?,
        };
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        Ok(Self {
            client: Client::try_from(config)?,
            istio_namespace: options.istio_namespace.clone(),
        })
    }

    /// Namespace of what is named without one.
    pub(crate) fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// The running pod that `name` calls, as namespace and name.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn pod(&self, name: &PodName) -> Result<(String, String), Error> {
        for (short, namespace) in name.candidates() {
            let found = match name.workload_kind() {
                None => self.pod_named(short, namespace).await?,
                Some(kind) => self.pod_of(kind, short, namespace).await?,
            };
            if let Some(pod) = found {
                return Ok((namespace.clone(), pod));
            }
        }
        Err(Error::NoPod(name.typed.clone()))
    }

    async fn pod_named(&self, name: &str, namespace: &str) -> Result<Option<String>, Error> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let found = found(api.get_opt(name).await)?;
        Ok(found.and_then(|pod| pod.metadata.name))
    }

    /// The first running pod that the workload's selector picks.
    async fn pod_of(
        &self,
        kind: &str,
        name: &str,
        namespace: &str,
    ) -> Result<Option<String>, Error> {
        let Some(resource) = workload(kind) else {
            return Err(Error::NoPod(format!("{kind}/{name}")));
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let Some(object) = found(api.get_opt(name).await)? else {
            return Ok(None);
        };
        let labels = match object.data.pointer("/spec/selector/matchLabels") {
            Some(labels) => labels,
            None => &object.data["spec"]["selector"],
        };
        let pairs = labels.as_object().into_iter().flatten();
        let pairs =
            pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
        let selector = pairs.collect::<Vec<_>>().join(",");
        Ok(self.running(namespace, &selector).await?.into_iter().next())
    }

    /// Names of the running pods of a namespace that bear labels, sorted.
    async fn running(&self, namespace: &str, labels: &str) -> Result<Vec<String>, Error> {
        if labels.is_empty() {
            return Ok(Vec::new());
        }
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pods: ObjectList<Pod> = api.list(&ListParams::default().labels(labels)).await?;
        let running = pods.items.into_iter().filter(|pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
        });
        let mut names: Vec<_> = running.filter_map(|pod| pod.metadata.name).collect();
        names.sort();
        Ok(names)
    }

    /// The pods of the control plane, of all revisions.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn control_plane(&self) -> Result<Vec<String>, Error> {
        let pods = self.running(&self.istio_namespace, "app=istiod").await?;
        match pods.is_empty() {
            true => Err(Error::NoControlPlane(self.istio_namespace.clone())),
            false => Ok(pods),
        }
    }

    /// A connection to a port of a pod, as if it came from within the pod.
    ///
    /// # Errors
    /// If the API server or the node refuses.
    pub(crate) async fn forward(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static + use<>, Error> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let mut forwarder = api.portforward(pod, &[port]).await?;
        forwarder.take_stream(port).ok_or(Error::NoPort(port))
    }
}

/// What is not there, or must not be seen by its name, is not there.
fn found<T>(answer: kube::Result<Option<T>>) -> Result<Option<T>, Error> {
    match answer {
        // A name that cannot exist, such as one with a slash.
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 404) => Ok(None),
        other => Ok(other?),
    }
}

fn workload(kind: &str) -> Option<ApiResource> {
    let (group, version, kind, plural) = match kind {
        "deploy" | "deployment" | "deployments" => ("apps", "v1", "Deployment", "deployments"),
        "sts" | "statefulset" | "statefulsets" => ("apps", "v1", "StatefulSet", "statefulsets"),
        "ds" | "daemonset" | "daemonsets" => ("apps", "v1", "DaemonSet", "daemonsets"),
        "rs" | "replicaset" | "replicasets" => ("apps", "v1", "ReplicaSet", "replicasets"),
        "job" | "jobs" => ("batch", "v1", "Job", "jobs"),
        "svc" | "service" | "services" => ("", "v1", "Service", "services"),
        _ => return None,
    };
    Some(resource(group, version, kind, plural))
}

/// A kind of the API by its names.
pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version,
        kind: kind.into(),
        plural: plural.into(),
    }
}
