//! `meshctl dashboard`.

use clap::{Args, Subcommand};

/// Whose pages.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
The URL is printed, and stays good until Ctrl-C.

Examples:
  meshctl dashboard proxy nginx-7c79c4bf97-7985c.test
  meshctl dashboard proxy deployment/nginx -n test --browser=false
  meshctl dashboard istiod-debug")]
pub(crate) enum Dashboard {
    /// The admin pages of a proxy
    #[command(visible_alias = "envoy")]
    Proxy {
        #[command(flatten)]
        of: Of,
        /// Port of the pod on which its proxy answers
        #[arg(long, alias = "ui-port", value_name = "PORT", default_value_t = mesh_model::port::ADMIN)]
        proxy_admin_port: u16,
        #[command(flatten)]
        local: Local,
    },
    /// The debug pages of the control plane
    #[command(visible_alias = "controlz")]
    IstiodDebug {
        /// One of its pods: [<type>/]<name>[.<namespace>]. Default: the first that is ready
        pod: Option<String>,
        #[command(flatten)]
        local: Local,
    },
}

/// Which pod.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// The pod: [<type>/]<name>[.<namespace>]; `deployment/<name>` takes its first pod
    #[arg(required_unless_present = "selector")]
    pub(crate) pod: Option<String>,
    /// The first pod with these labels, instead
    #[arg(short = 'l', long, value_name = "KEY=VALUE,…", conflicts_with = "pod")]
    pub(crate) selector: Option<String>,
}

/// Where the pages appear.
#[derive(Debug, Args)]
pub(crate) struct Local {
    /// Port of this machine. Default: the same as the pod's if it is free, else any
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Address of this machine to listen on
    #[arg(long, default_value = "localhost")]
    pub(crate) address: String,
    /// Opens a browser
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(crate) browser: bool,
}
