//! `meshctl experimental internal-debug`.

use clap::Args;

/// Which page, of whom.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  meshctl x internal-debug syncz                          how far each proxy is
  meshctl x internal-debug edsz nginx-7c79c4bf97-7985c.test   the endpoints that one is served
  meshctl x internal-debug configz --all                  what every control plane says")]
pub(crate) struct InternalDebug {
    /// The page below /debug, with a query if it needs one
    pub(crate) page: String,
    /// The proxy that the page is about: [<type>/]<name>[.<namespace>]
    pub(crate) pod: Option<String>,
    /// Asks all control planes, not only the first that answers
    #[arg(long)]
    pub(crate) all: bool,
    /// Only control planes of this revision
    #[arg(short, long, value_name = "NAME")]
    pub(crate) revision: Option<String>,
}
