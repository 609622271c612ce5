//! The API server, and who we are to it.
//!
//! For every program that speaks with a cluster, by flags of the same names. Finds it and makes a client; what is asked of
//! it is the caller's business.

use kube::{
    Client, Config,
    config::{InClusterError, InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use std::{env, path::PathBuf, time::Duration};

/// Longest silence of the API server within an answer. Watches are closed by the server well before.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// How the API server is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// A kubeconfig file (`--kubeconfig`); `None`: see [`Access::unnamed`].
    pub kubeconfig: Option<PathBuf>,
    /// The context of the file; `None` for its current one (`--context`).
    pub context: Option<String>,
    /// What is meant if neither is given.
    pub unnamed: Unnamed,
    /// For whom the requests are made (`--as`, `--as-group`), if the API server lets this user do so.
    pub impersonated: Impersonated,
}

/// Which cluster is meant if none is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unnamed {
    /// That in which this process runs, else that of the user's own file (`KUBECONFIG`, `~/.kube/config`): for programs
    /// that belong to a cluster.
    #[default]
    OwnFirst,
    /// The other way round, as kubectl does: for programs of people.
    UsersFirst,
}

/// Somebody for whom requests are made; empty for none but who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impersonated {
    /// Name of the user; a service account is `system:serviceaccount:NAMESPACE:NAME`.
    pub user: Option<String>,
    /// Names of groups.
    pub groups: Vec<String>,
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A kubeconfig that cannot be used.
    ///
    /// The client's own words hold their cause already.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(String),
    /// The service account of the pod cannot be used.
    #[error("the pod's service account cannot be used")]
    InCluster(#[from] InClusterError),
    /// Nothing says which cluster.
    #[error("no cluster is configured")]
    Nothing(#[from] InferConfigError),
    /// A group of nobody.
    #[error("--as-group needs a user whose group it is")]
    GroupsOfNobody,
    /// No client can be made of it.
    #[error("no client can be made for the API server")]
    Client(#[source] kube::Error),
}

impl From<KubeconfigError> for AccessError {
    fn from(error: KubeconfigError) -> Self {
        Self::Kubeconfig(error.to_string())
    }
}

impl Access {
    /// What a client needs to know. Reads files, does not connect.
    ///
    /// # Errors
    /// If a file cannot be read or does not say enough.
    pub async fn config(&self) -> Result<Config, AccessError> {
        let mut config = self.found().await?;
        self.impersonated.put_into(&mut config)?;
        Ok(config)
    }

    async fn found(&self) -> Result<Config, AccessError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        if let Some(file) = &self.kubeconfig {
            let kubeconfig = Kubeconfig::read_from(file)?;
            return Ok(Config::from_custom_kubeconfig(kubeconfig, &options).await?);
        }
        let in_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        match (&self.context, self.unnamed) {
            (None, Unnamed::OwnFirst) if in_pod => Ok(Config::incluster()?),
            (None, Unnamed::UsersFirst) => Ok(Config::infer().await?),
            _ => Ok(Config::from_kubeconfig(&options).await?),
        }
    }
}

impl Impersonated {
    /// Goes before what the kubeconfig says, field by field, as kubectl's flags do.
    fn put_into(&self, config: &mut Config) -> Result<(), AccessError> {
        let who = &mut config.auth_info;
        if self.user.is_some() {
            who.impersonate.clone_from(&self.user);
        }
        if !self.groups.is_empty() {
            who.impersonate_groups = Some(self.groups.clone());
        }
        match (&who.impersonate, &self.groups[..]) {
            (None, [_, ..]) => Err(AccessError::GroupsOfNobody),
            _ => Ok(()),
        }
    }
}

/// A client for watches that never end. Does not connect yet.
///
/// # Errors
/// If certificates or keys cannot be used.
pub fn watching_client(mut config: Config) -> Result<Client, AccessError> {
    config.read_timeout = Some(READ_TIMEOUT);
    // Whoever asks tries again in its own time and says why; kube's own retries would do neither.
    config.default_retry = false;
    Client::try_from(config).map_err(AccessError::Client)
}

impl AccessError {
    /// What the operator can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Kubeconfig(_) | Self::Nothing(_) => {
                "--kubeconfig FILE and --context NAME choose a cluster"
            }
            Self::InCluster(_) => {
                "the pod needs a service account with its token mounted (automountServiceAccountToken)"
            }
            Self::GroupsOfNobody => "--as USER names the user",
            Self::Client(_) => "certificates and keys of the kubeconfig must be X.509 v3, in PEM",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a kubeconfig with two contexts, of which one impersonates.
    fn access(file: &tempfile::NamedTempFile, context: Option<&str>) -> Access {
        let text = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "plain",
            "clusters": [{"name": "c", "cluster": {"server": "http://api:6443"}}],
            "users": [{"name": "u", "user": {}}, {"name": "v", "user": {"as": "eve", "as-groups": ["a"]}}],
            "contexts": [{"name": "plain", "context": {"cluster": "c", "user": "u"}},
                {"name": "as-eve", "context": {"cluster": "c", "user": "v"}}]}"#;
        std::fs::write(file.path(), text).expect("written");
        Access {
            kubeconfig: Some(file.path().to_owned()),
            context: context.map(str::to_owned),
            ..Access::default()
        }
    }

    #[tokio::test]
    async fn what_is_typed_goes_before_what_the_file_says() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let typed = |user: Option<&str>, groups: &[&str]| Impersonated {
            user: user.map(str::to_owned),
            groups: groups.iter().map(ToString::to_string).collect(),
        };
        for (context, typed, user, groups) in [
            (None, typed(None, &[]), None, None),
            (None, typed(Some("bob"), &[]), Some("bob"), None),
            (
                None,
                typed(Some("bob"), &["x", "y"]),
                Some("bob"),
                Some(&["x", "y"][..]),
            ),
            (
                Some("as-eve"),
                typed(None, &[]),
                Some("eve"),
                Some(&["a"][..]),
            ),
            (
                Some("as-eve"),
                typed(Some("bob"), &[]),
                Some("bob"),
                Some(&["a"][..]),
            ),
            (
                Some("as-eve"),
                typed(None, &["x"]),
                Some("eve"),
                Some(&["x"][..]),
            ),
        ] {
            let access = Access {
                impersonated: typed.clone(),
                ..access(&file, context)
            };
            let who = access.config().await.expect("readable").auth_info;
            assert_eq!(who.impersonate.as_deref(), user, "{typed:?}");
            let expected = groups.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(who.impersonate_groups, expected, "{typed:?}");
        }
        let nobodys = Access {
            impersonated: typed(None, &["x"]),
            ..access(&file, None)
        };
        let error = nobodys.config().await.expect_err("refused");
        assert!(matches!(error, AccessError::GroupsOfNobody), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_says_why_once() {
        let missing = Access {
            kubeconfig: Some("/nonexistent/kubeconfig".into()),
            ..Access::default()
        };
        let error = missing.config().await.expect_err("no file");
        let said = error.to_string();
        assert!(
            said.starts_with("the kubeconfig cannot be used: "),
            "{said}"
        );
        assert!(said.contains("/nonexistent/kubeconfig"), "{said}");
        assert!(std::error::Error::source(&error).is_none());
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = access(&file, Some("nowhere")).config().await;
        let error = error.expect_err("no such context");
        assert!(error.to_string().contains("nowhere"), "{error}");
        assert!(error.hint().contains("--context"));
    }
}
