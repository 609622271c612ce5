//! `meshctl install`, `meshctl uninstall`, `meshctl manifest generate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to install.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Options of the installation, in YAML (an IstioOperator, or only its spec); `-` is standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// One option, such as hub=registry.example.org/mesh, tag=1.0, imagePullPolicy=Never, discovery.replicas=1,
    /// meshConfig.accessLogFile=/dev/stdout, values.global.proxy.holdApplicationUntilProxyStarts=true
    #[arg(short, long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Revision of the control plane; several may run side by side
    #[arg(short, long, value_name = "NAME")]
    pub(crate) revision: Option<String>,
}

/// `meshctl install`.
#[derive(Debug, Args)]
pub(crate) struct Install {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Lets the API server check everything and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Longest wait until all is ready; 0s does not wait
    #[arg(long, value_name = "DURATION", default_value = "300s")]
    pub(crate) readiness_timeout: jiff::SignedDuration,
    /// Asks nothing (it never does; for scripts written for istioctl)
    #[arg(short = 'y', long = "skip-confirmation", hide = true)]
    pub(crate) skip_confirmation: bool,
}

/// `meshctl uninstall`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Uninstall {
    /// The revision to remove; `default` for the one without a name
    #[arg(short, long, value_name = "NAME", group = "what")]
    pub(crate) revision: Option<String>,
    /// Removes everything: all revisions, the certificate authority, the definitions with every object of them, the
    /// namespace
    #[arg(long, group = "what")]
    pub(crate) purge: bool,
    /// Only tells what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Does not ask
    #[arg(short = 'y', long = "skip-confirmation")]
    pub(crate) skip_confirmation: bool,
}

/// `meshctl manifest`.
#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    /// Prints what `install` would apply
    Generate {
        #[command(flatten)]
        wanted: Wanted,
    },
}
