//! `meshctl completion`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;

/// The script for `shell`.
pub(super) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "meshctl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
