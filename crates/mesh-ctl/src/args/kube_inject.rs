//! `meshctl kube-inject`.

use std::path::PathBuf;

use clap::Args;

/// What to inject, and with what settings.
#[derive(Debug, Args)]
#[command(after_help = "\
The settings are those of the mesh that is installed in the cluster: what its config maps say, and what its webhook was \
started with. With a file of them given, and where no cluster is configured, no cluster is asked: what the files do not say \
are the defaults.

Examples:
  meshctl kube-inject -f app.yaml | kubectl apply -f -
  meshctl kube-inject -f app.yaml --revision canary
  meshctl kube-inject -f app.yaml --operatorFileName options.yaml     as `meshctl install -f options.yaml` would
  meshctl kube-inject -f app.yaml --injectConfigFile config.yaml --valuesFile values.json --meshConfigFile mesh.yaml")]
pub(crate) struct KubeInject {
    /// The manifest; `-` is standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Writes the result here instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Settings of the mesh (MeshConfig in YAML)
    #[arg(
        long = "meshConfigFile",
        alias = "mesh-config-file",
        value_name = "FILE"
    )]
    pub(crate) mesh_config: Option<PathBuf>,
    /// Policy, selectors and templates of injection, in YAML
    #[arg(
        long = "injectConfigFile",
        alias = "inject-config-file",
        value_name = "FILE"
    )]
    pub(crate) inject_config: Option<PathBuf>,
    /// Values of the installation, in JSON or YAML
    #[arg(long = "valuesFile", alias = "values-file", value_name = "FILE")]
    pub(crate) values: Option<PathBuf>,
    /// Options of an installation (an IstioOperator, or only its spec): the settings that `meshctl install -f` would give it
    #[arg(
        long = "operatorFileName",
        alias = "operator-file-name",
        value_name = "FILE"
    )]
    pub(crate) operator: Option<PathBuf>,
    /// The MutatingWebhookConfiguration whose webhook decides: its revision, its settings. Default: that of --revision
    #[arg(
        long = "webhookConfig",
        alias = "webhook-config",
        value_name = "NAME",
        conflicts_with_all = ["operator", "revision"]
    )]
    pub(crate) webhook_config: Option<String>,
    /// Config map with the settings of the mesh. Default: istio, or istio-REVISION
    #[arg(long = "meshConfigMapName", value_name = "NAME")]
    pub(crate) mesh_config_map: Option<String>,
    /// Config map with the settings of injection. Default: istio-sidecar-injector, or istio-sidecar-injector-REVISION
    #[arg(long = "injectConfigMapName", value_name = "NAME")]
    pub(crate) inject_config_map: Option<String>,
    /// Revision of the control plane that the pods belong to. Default: what the settings say
    #[arg(short, long)]
    pub(crate) revision: Option<String>,
}
