//! `meshctl check-inject`.

use clap::Args;

/// What would be injected.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshctl check-inject nginx-7c79c4bf97-7985c.test      a pod that is there
  meshctl check-inject deployment/nginx -n test         the pods that a workload would make now
  meshctl check-inject -n test -l app=nginx,version=v1  a pod that is not there yet")]
pub(crate) struct CheckInject {
    /// The pod or workload: [<type>/]<name>[.<namespace>]
    #[arg(required_unless_present = "labels")]
    pub(crate) target: Option<String>,
    /// A pod that would have these labels, instead
    #[arg(
        short,
        long,
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        conflicts_with = "target"
    )]
    pub(crate) labels: Vec<String>,
}
