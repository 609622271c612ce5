//! `meshctl experimental injector`.

use clap::Subcommand;

/// What is told of injectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Injector {
    /// Lists the namespaces that are injected with their pods, and the webhooks with the image that they inject
    List,
}
