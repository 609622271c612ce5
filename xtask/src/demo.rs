//! The mesh's main job on this machine, and how fast it does it: both run the programs of the workspace in network
//! namespaces, through the launcher of `mesh-e2e`.

use crate::{
    chore::{Outcome, Profile, build, run},
    envoy,
    system::{self, BACKEND, LOADS, NETNS},
};
use std::{ffi::OsString, path::Path, process::Command};

/// The programs that run in pods, and the launcher.
pub(crate) const PROGRAMS: &[&str] = &[
    "mesh-init",
    "mesh-proxy",
    "mesh-discovery",
    "mesh-injector",
    "mesh-ctl",
    "mesh-e2e",
];

/// Runs the demo.
pub(crate) fn demo(arguments: &[String]) -> Outcome {
    println!("demo: checking the system");
    system::provide(NETNS)?;
    launch("demo", Profile::Dev, &[], arguments)
}

/// Runs the benchmark, with as much of it as the machine has the programs for.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    println!("bench: checking the system");
    system::provide(NETNS)?;
    system::provide(BACKEND)?;
    for load in LOADS {
        if let Err(why) = system::provide(load) {
            println!("bench: goes on without {}: {why}", load[0].package);
        }
    }
    let envoy = match envoy::provide() {
        Ok(program) => vec!["--envoy".into(), program.into_os_string()],
        Err(why) => {
            println!("bench: goes on without Envoy, and so without ratios: {why}");
            vec!["--only".into(), "mesh-proxy".into()]
        }
    };
    launch("bench", Profile::Release, &envoy, arguments)
}

fn launch(verb: &str, profile: Profile, found: &[OsString], arguments: &[String]) -> Outcome {
    let programs = build(PROGRAMS, profile)?;
    let launcher = programs.join("mesh-e2e");
    let mut command = launcher_command(&launcher, verb)?;
    run(command.arg(verb).args(found).args(arguments))
}

/// The launcher needs root for namespaces and rules; only it is run with sudo, so that what was built stays the user's.
pub(crate) fn launcher_command(launcher: &Path, verb: &str) -> Result<Command, String> {
    if system::is_root() {
        return Ok(Command::new(launcher));
    }
    if system::find("sudo").is_none() {
        return Err(format!(
            "namespaces and iptables need root, and there is no sudo\nhint: as root: {} {verb}",
            launcher.display()
        ));
    }
    println!("namespaces and iptables need root: running the launcher with sudo");
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg(launcher);
    Ok(sudo)
}
