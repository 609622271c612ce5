//! A cluster: who we are to it, its pods, and ports of them brought here through the API server, as `kubectl port-forward`
//! does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use kube::api::ListParams;
use kube::client::UpgradeConnectionError;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::discovery::ApiResource;
use kube::{Api, Client, Config};
use mesh_api::k8s::api::core::v1::Pod;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::PodName;

/// Longest wait for a connection to the API server.
const CONNECT: Duration = Duration::from_secs(10);
/// How many pods a message names.
const NAMED: usize = 5;
/// Longest wait for an answer of it.
const ANSWER: Duration = Duration::from_secs(60);

/// Which cluster, in kubectl's words.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ClusterOptions {
    /// File that says which cluster. Default: KUBECONFIG, else ~/.kube/config, else the cluster this runs in
    #[arg(
        short = 'c',
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Which cluster"
    )]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of that file
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Which cluster"
    )]
    pub(crate) context: Option<String>,
    /// Namespace of the control plane
    #[arg(
        short = 'i',
        long = "istioNamespace",
        global = true,
        value_name = "NAME",
        default_value = "istio-system",
        env = "MESHCTL_ISTIONAMESPACE",
        hide_env_values = true,
        help_heading = "Which cluster"
    )]
    pub(crate) istio_namespace: String,
}

impl ClusterOptions {
    /// Whether the user says which cluster, so that nothing else can be meant.
    pub(crate) fn is_named(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }
}

/// Whether anything says which cluster, if the user does not.
pub(crate) fn is_configured() -> bool {
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
    ///
    /// The client's own words hold their cause already.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(String),
    /// Nothing says which cluster.
    #[error("no cluster is configured")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// A demo has no API server.
    #[error("the mesh of this machine's demo has no API server to ask")]
    NotACluster,
    /// The API server refused or did not answer.
    #[error("{}", said(.0))]
    Api(Box<kube::Error>),
    /// It is not there.
    #[error("there is no pod `{typed}`")]
    NoPod {
        /// What was typed.
        typed: String,
        /// What is there, as far as we may see it.
        pods: Vec<String>,
    },
    /// It is not there.
    #[error("there is no `{0}`")]
    NoWorkload(String),
    /// Nothing to ask.
    #[error("`{0}` has no running pod")]
    NoRunningPod(String),
    /// A kind that has no pods, or that we do not know.
    #[error("`{0}` is no kind of workload")]
    UnknownKind(String),
    /// No settings.
    #[error("config map {name} of namespace {namespace} {}", match key { Some(key) => format!("has no key `{key}`"), None => "does not exist".into() })]
    NoConfigMap {
        /// Its name.
        name: String,
        /// Where it should be.
        namespace: String,
        /// What it should have; `None` if it is not there itself.
        key: Option<String>,
    },
    /// No control plane.
    #[error("no ready control plane pods in namespace {0:?}")]
    NoControlPlane(String),
    /// The port could not be brought here.
    #[error("port {0} of the pod is not reachable through the API server")]
    NoPort(u16),
    /// The API server does not forward ports of the pod.
    #[error("the API server does not forward to pod {pod} ({status})")]
    NotForwarded {
        /// The pod.
        pod: String,
        /// What it answered instead.
        status: http::StatusCode,
    },
}

impl From<kube::config::KubeconfigError> for Error {
    fn from(error: kube::config::KubeconfigError) -> Self {
        Self::Kubeconfig(error.to_string())
    }
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
            Self::Kubeconfig(_) | Self::NoCluster(_) | Self::NotACluster => {
                "--kubeconfig FILE and --context NAME choose a cluster".into()
            }
            Self::Api(error) => match &**error {
                kube::Error::Api(status) => match status.code {
                    401 => "the credentials of this context are not valid; log in again, or choose another with --context",
                    403 => "ask for the right, or choose another user with --context",
                    404 => "names are <name>.<namespace>, or <name> with -n <namespace>",
                    _ => "the words above are the API server's",
                }
                .into(),
                _ => "is the API server running, and is it the one of this context?".into(),
            },
            Self::NoPod { pods, .. } if !pods.is_empty() => format!(
                "there are: {} (<name>.<namespace>, or -n <namespace>)",
                pods.join(", ")
            ),
            Self::NoPod { .. } | Self::NoWorkload(_) => {
                "a pod is named <name>.<namespace>, or by -n <namespace>; deploy/<name> takes any pod of it".into()
            }
            Self::NoRunningPod(_) => {
                "`kubectl describe` tells why none runs, `meshctl check-inject` whether one would be injected".into()
            }
            Self::UnknownKind(_) => format!("kinds are pod, {}", KINDS.map(|kind| kind.names[1]).join(", ")),
            Self::NoConfigMap { .. } => "is the mesh installed there (-i NAMESPACE), and under this revision?".into(),
            Self::NoControlPlane(_) => "install one with `meshctl install`, or name its namespace with -i".into(),
            Self::NotForwarded { status, .. } if *status == http::StatusCode::FORBIDDEN => {
                "your user needs the right to create pods/portforward in that namespace".into()
            }
            Self::NotForwarded { .. } => {
                "is the pod still there, and is its node up? `kubectl get pod -o wide` and `kubectl get nodes` tell".into()
            }
            Self::NoPort(_) => "is the proxy of the pod running?".into(),
        }
    }
}

/// What the API server said, or why it said nothing.
fn said(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("the API server refused: {}", status.message);
    }
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    match causes.last() {
        Some(cause) => format!("the API server does not answer: {cause}"),
        None => error.to_string(),
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

    /// The pod that `name` calls, as namespace and name; of a workload the first that runs.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn pod(&self, name: &PodName) -> Result<(String, String), Error> {
        if name.is_workload() {
            let (namespace, workload) = self.workload(name).await?;
            let pods = self.running(&namespace, &selector(&workload)).await?;
            let first = pods.into_iter().next();
            let first = first.ok_or_else(|| Error::NoRunningPod(name.typed.clone()))?;
            return Ok((namespace, first));
        }
        for (short, namespace) in name.candidates() {
            let api: Api<PartialObjectMeta<Pod>> = self.api(namespace);
            if found(api.get_metadata_opt(short).await)?.is_some() {
                return Ok((namespace.clone(), short.clone()));
            }
        }
        Err(Error::NoPod {
            typed: name.typed.clone(),
            pods: self.like(name).await,
        })
    }

    /// The workload that `name` calls, with its namespace.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn workload(&self, name: &PodName) -> Result<(String, DynamicObject), Error> {
        let typed = || name.typed.clone();
        let kind = name.workload_kind().unwrap_or_default();
        let kind = KINDS.iter().find(|known| known.names.contains(&kind));
        let kind = kind.ok_or_else(|| Error::UnknownKind(typed()))?;
        let resource = resource(kind.group, "v1", kind.kind, kind.names[2]);
        for (short, namespace) in name.candidates() {
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.client.clone(), namespace, &resource);
            if let Some(object) = found(api.get_opt(short).await)? {
                return Ok((namespace.clone(), object));
            }
        }
        Err(Error::NoWorkload(typed()))
    }

    /// A pod as the API server has it.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) async fn pod_json(&self, namespace: &str, name: &str) -> Result<Value, Error> {
        let resource = resource("", "v1", "Pod", "pods");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let pod = api.get(name).await?;
        Ok(serde_json::to_value(pod).unwrap_or_default())
    }

    /// Objects of a built-in kind in one namespace.
    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// A few pods that may have been meant: those whose name holds what was typed, else any. Help for a message; that it
    /// cannot be given is no failure.
    async fn like(&self, name: &PodName) -> Vec<String> {
        let mut all = Vec::new();
        let namespaces: BTreeSet<_> = name.candidates().map(|(_, namespace)| namespace).collect();
        for namespace in namespaces {
            let api: Api<PartialObjectMeta<Pod>> = self.api(namespace);
            let Ok(pods) = api.list_metadata(&ListParams::default()).await else {
                continue;
            };
            let names = pods.items.into_iter().filter_map(|pod| pod.metadata.name);
            all.extend(names.map(|pod| format!("{pod}.{namespace}")));
        }
        let shorts: Vec<_> = name.candidates().map(|(short, _)| short.clone()).collect();
        let is_like = |pod: &&String| shorts.iter().any(|short| pod.contains(short.as_str()));
        let like: Vec<_> = all.iter().filter(is_like).cloned().collect();
        let mut chosen = if like.is_empty() { all } else { like };
        chosen.truncate(NAMED);
        chosen
    }

    /// Names of the running pods of a namespace that bear labels, sorted.
    ///
    /// # Errors
    /// If we may not see them.
    pub(crate) async fn running(
        &self,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<String>, Error> {
        let pods = self.running_pods(namespace, labels).await?.into_iter();
        let mut names: Vec<_> = pods.filter_map(|pod| pod.metadata.name).collect();
        names.sort();
        Ok(names)
    }

    /// The running pods of a namespace that bear labels; none for no labels.
    ///
    /// # Errors
    /// If we may not see them.
    pub(crate) async fn running_pods(
        &self,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Pod>, Error> {
        if labels.is_empty() {
            return Ok(Vec::new());
        }
        let params = ListParams::default().labels(labels);
        let mut pods = self.api::<Pod>(namespace).list(&params).await?.items;
        pods.retain(|pod| {
            let status = pod.status.as_ref();
            status.and_then(|status| status.phase.as_deref()) == Some("Running")
                && pod.metadata.deletion_timestamp.is_none()
        });
        Ok(pods)
    }

    /// The running pods of the control plane, of all revisions.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn control_plane(&self) -> Result<Vec<ControlPlane>, Error> {
        let pods = self
            .running_pods(&self.istio_namespace, "app=istiod")
            .await?;
        if pods.is_empty() {
            return Err(Error::NoControlPlane(self.istio_namespace.clone()));
        }
        let mut planes: Vec<_> = pods.into_iter().filter_map(ControlPlane::of).collect();
        planes.sort_by(|a, b| a.pod.cmp(&b.pod));
        Ok(planes)
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
        let forwarder = api.portforward(pod, &[port]).await;
        let mut forwarder = forwarder.map_err(|error| match error {
            kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
                Error::NotForwarded {
                    pod: pod.to_owned(),
                    status,
                }
            }
            other => other.into(),
        })?;
        forwarder.take_stream(port).ok_or(Error::NoPort(port))
    }
}

/// A pod of the control plane.
#[derive(Debug, Clone)]
pub(crate) struct ControlPlane {
    /// Its name.
    pub(crate) pod: String,
    /// What its proxies call it, as far as it says so.
    pub(crate) revision: Option<String>,
}

impl ControlPlane {
    fn of(pod: Pod) -> Option<Self> {
        let mut labels = pod.metadata.labels.unwrap_or_default();
        Some(Self {
            pod: pod.metadata.name?,
            revision: labels.remove(mesh_model::annotation::REVISION),
        })
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

/// The labels of a workload's pods, as a query has them; empty if it picks none by labels.
fn selector(workload: &DynamicObject) -> String {
    let spec = &workload.data["spec"];
    let labels = match spec.pointer("/selector/matchLabels") {
        Some(labels) => labels,
        None => &spec["selector"],
    };
    let pairs = labels.as_object().into_iter().flatten();
    let pairs = pairs.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    pairs.collect::<Vec<_>>().join(",")
}

/// A kind of object that has pods.
struct Kind {
    group: &'static str,
    kind: &'static str,
    /// As kubectl takes it: short, one, many.
    names: [&'static str; 3],
}

const KINDS: [Kind; 6] = [
    Kind {
        group: "apps",
        kind: "Deployment",
        names: ["deploy", "deployment", "deployments"],
    },
    Kind {
        group: "apps",
        kind: "StatefulSet",
        names: ["sts", "statefulset", "statefulsets"],
    },
    Kind {
        group: "apps",
        kind: "DaemonSet",
        names: ["ds", "daemonset", "daemonsets"],
    },
    Kind {
        group: "apps",
        kind: "ReplicaSet",
        names: ["rs", "replicaset", "replicasets"],
    },
    Kind {
        group: "batch",
        kind: "Job",
        names: ["job", "job", "jobs"],
    },
    Kind {
        group: "",
        kind: "Service",
        names: ["svc", "service", "services"],
    },
];

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
