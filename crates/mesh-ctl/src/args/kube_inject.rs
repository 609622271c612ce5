//! `meshctl kube-inject`.

use std::path::PathBuf;

use clap::Args;

/// What to inject, and with what settings.
#[derive(Debug, Args)]
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
    /// Revision of the control plane that the pods belong to
    #[arg(short, long, default_value = "default")]
    pub(crate) revision: String,
}
