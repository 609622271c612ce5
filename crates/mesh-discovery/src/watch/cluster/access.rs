//! The API server, and who we are to it.

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use std::{env, path::PathBuf, time::Duration};

/// Longest silence of the API server within an answer. Watches are closed by the server well before.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// How the API server is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// A kubeconfig file (`--kubeconfig`). Without one: the cluster that this process runs in, or else the user's own file
    /// (`KUBECONFIG`, `~/.kube/config`).
    pub kubeconfig: Option<PathBuf>,
    /// The context of the file; `None` for its current one (`--context`).
    pub context: Option<String>,
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A kubeconfig file that cannot be used.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] KubeconfigError),
    /// The service account of the pod cannot be used.
    #[error("the pod's service account cannot be used")]
    InCluster(#[from] kube::config::InClusterError),
    /// No client can be made of it.
    #[error("no client can be made for the API server")]
    Client(#[source] kube::Error),
}

impl Access {
    /// A client. Does not connect yet.
    ///
    /// # Errors
    /// If a file cannot be read or does not say enough.
    pub async fn connect(&self) -> Result<Client, AccessError> {
        let mut config = self.config().await?;
        config.read_timeout = Some(READ_TIMEOUT);
        // Whoever asks tries again in its own time and says why; kube's own retries would do neither.
        config.default_retry = false;
        tracing::info!(server = %config.cluster_url, "reading a cluster");
        Client::try_from(config).map_err(AccessError::Client)
    }

    async fn config(&self) -> Result<Config, AccessError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        if let Some(file) = &self.kubeconfig {
            let kubeconfig = Kubeconfig::read_from(file)?;
            return Ok(Config::from_custom_kubeconfig(kubeconfig, &options).await?);
        }
        let in_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        if in_pod && self.context.is_none() {
            return Ok(Config::incluster()?);
        }
        Ok(Config::from_kubeconfig(&options).await?)
    }
}

impl AccessError {
    /// What the operator can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Kubeconfig(_) => {
                "--kubeconfig FILE and --context NAME choose a cluster; --config-dir DIR reads a folder of YAML instead"
            }
            Self::InCluster(_) => {
                "the pod needs a service account with its token mounted (automountServiceAccountToken)"
            }
            Self::Client(_) => "certificates and keys of the kubeconfig must be X.509 v3, in PEM",
        }
    }
}
