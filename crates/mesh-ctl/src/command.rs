//! The commands: fetch, read, view, in this order.
//!
//! Each gives the text for standard output; warnings go to standard error as they arise.

mod check_inject;
mod completion;
mod control_plane;
mod dashboard;
mod describe;
mod injector;
mod install;
mod internal_debug;
mod kube_inject;
mod proxy_config;
mod proxy_status;
pub(crate) mod version;

use crate::args::{Cli, Command, Experimental, Injector};
use crate::failure::Failure;
use crate::fetch::Mesh;

/// Opens the mesh; a command that reads files does not.
type Open<'a> = &'a dyn Fn() -> Result<Mesh, crate::fetch::Error>;

/// Runs the command that was typed.
///
/// # Errors
/// Why it could not be done.
pub(crate) fn run(cli: &Cli) -> Result<String, Failure> {
    let mesh = || Mesh::open(&cli.cluster, cli.namespace.as_deref());
    match &cli.command {
        Command::ProxyConfig(command) => proxy_config::run(command, &mesh),
        Command::ProxyStatus(command) => proxy_status::run(command, &mesh),
        Command::KubeInject(command) => kube_inject::run(command, &cli.cluster),
        Command::CheckInject(command)
        | Command::Experimental(Experimental::CheckInject(command)) => {
            check_inject::run(command, cli)
        }
        Command::Experimental(Experimental::Describe(command)) => describe::run(command, cli),
        Command::Experimental(Experimental::Injector(Injector::List)) => injector::list(cli),
        Command::Experimental(Experimental::InternalDebug(command)) => {
            internal_debug::run(command, &mesh)
        }
        Command::Admin(command) => control_plane::run(command, &mesh),
        Command::Dashboard(command) => dashboard::run(command, &mesh),
        Command::Install(command) => install::install(command, &cli.cluster),
        Command::Uninstall(command) => install::uninstall(command, &cli.cluster),
        Command::Manifest(command) => install::generate(command, &cli.cluster),
        Command::Version(command) => version::run(command, &mesh),
        Command::Completion { shell } => Ok(completion::script(*shell)),
    }
}

impl From<crate::fetch::Error> for Failure {
    fn from(error: crate::fetch::Error) -> Self {
        let hint = error.hint();
        let failure = match error {
            crate::fetch::Error::File { .. } => Self::bad_data(error),
            other => anyhow::Error::new(other).into(),
        };
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<crate::dump::Error> for Failure {
    fn from(error: crate::dump::Error) -> Self {
        let is_other = matches!(error, crate::dump::Error::NoConfigs);
        let failure = Self::bad_data(error);
        if is_other {
            return failure.hint(
                "in the pod, `curl 'http://127.0.0.1:15000/config_dump?include_eds'` gives one",
            );
        }
        failure
    }
}
