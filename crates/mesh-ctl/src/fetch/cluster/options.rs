//! Which cluster is meant, in kubectl's words.

use std::path::PathBuf;

use mesh_api::access::{Access, Impersonated, Unnamed};

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
    /// User for whom to ask and change, instead of the context's, who must have the right to impersonate. A service
    /// account is system:serviceaccount:NAMESPACE:NAME
    #[arg(
        long = "as",
        global = true,
        value_name = "USER",
        help_heading = "Which cluster"
    )]
    pub(crate) as_user: Option<String>,
    /// Group of that user; once for each
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        help_heading = "Which cluster"
    )]
    pub(crate) as_group: Vec<String>,
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
    /// Whether the user says which cluster, or who it should think that we are: nothing else can be meant.
    pub(crate) fn is_named(&self) -> bool {
        let impersonates = self.as_user.is_some() || !self.as_group.is_empty();
        self.kubeconfig.is_some() || self.context.is_some() || impersonates
    }

    /// How its API server is found.
    pub(super) fn access(&self) -> Access {
        Access {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            unnamed: Unnamed::UsersFirst,
            impersonated: Impersonated {
                user: self.as_user.clone(),
                groups: self.as_group.clone(),
            },
        }
    }
}

/// Whether the user's shell says which cluster.
pub(crate) fn is_exported() -> bool {
    is_set("KUBECONFIG")
}

/// Whether anything says which cluster, if the user does not.
pub(crate) fn is_configured() -> bool {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    is_exported()
        || is_set("KUBERNETES_SERVICE_HOST")
        || home.is_some_and(|home| home.join(".kube/config").is_file())
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
