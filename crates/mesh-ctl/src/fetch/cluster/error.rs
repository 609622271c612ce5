//! Why a cluster did not answer, and what to do about it.

use mesh_api::access::AccessError;

use super::workload::KINDS;

/// Why a cluster did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no way to it.
    #[error(transparent)]
    Access(#[from] AccessError),
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

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

impl Error {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Access(error) => error.hint().into(),
            Self::NotACluster => {
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
