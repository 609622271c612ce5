//! `meshctl experimental describe`.

use clap::{Args, Subcommand};

/// What is described.
#[derive(Debug, Subcommand)]
pub(crate) enum Describe {
    /// A pod, the services that lead to it, and the policies that are for it
    #[command(visible_alias = "po")]
    Pod(DescribePod),
    /// A service, as one of its pods sees it
    #[command(visible_alias = "svc")]
    Service(DescribeService),
}

/// Which pod.
#[derive(Debug, Args)]
pub(crate) struct DescribePod {
    /// The pod: [<type>/]<name>[.<namespace>]
    pub(crate) pod: String,
    /// Says nothing about pods that are not in the mesh
    #[arg(long = "ignoreUnmeshed", alias = "ignore-unmeshed")]
    pub(crate) ignore_unmeshed: bool,
}

/// Which service.
#[derive(Debug, Args)]
pub(crate) struct DescribeService {
    /// The service: <name>[.<namespace>]
    pub(crate) service: String,
    /// Says nothing about pods that are not in the mesh
    #[arg(long = "ignoreUnmeshed", alias = "ignore-unmeshed")]
    pub(crate) ignore_unmeshed: bool,
}
