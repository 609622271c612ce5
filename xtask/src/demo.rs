//! The mesh's main job on this machine, and how fast it does it: both run the programs of the workspace in network
//! namespaces, through the launcher of `mesh-e2e`.

use crate::{
    chore::{Outcome, build, run},
    system::{self, NETNS},
};
use std::{path::Path, process::Command};

/// The programs that run in pods, and the launcher.
pub(crate) const PROGRAMS: &[&str] = &[
    "mesh-init",
    "mesh-proxy",
    "mesh-discovery",
    "mesh-ctl",
    "mesh-e2e",
];

/// Runs the demo.
pub(crate) fn demo(arguments: &[String]) -> Outcome {
    launch("demo", arguments)
}

/// Runs the benchmark.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    launch("bench", arguments)
}

fn launch(verb: &str, arguments: &[String]) -> Outcome {
    println!("{verb}: checking the system");
    system::provide(NETNS)?;
    let programs = build(PROGRAMS)?;
    let launcher = programs.join("mesh-e2e");
    run(launcher_command(&launcher).arg(verb).args(arguments))
}

/// The launcher needs root for namespaces and rules; only it is run with sudo, so that what was built stays the user's.
fn launcher_command(launcher: &Path) -> Command {
    if system::is_root() {
        return Command::new(launcher);
    }
    println!("namespaces and iptables need root: running the launcher with sudo");
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg(launcher);
    sudo
}
