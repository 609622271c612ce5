//! The sidecar proxy of the mesh: `mesh-proxy proxy sidecar`, and `mesh-proxy agent` for a pod with another data plane.
//!
//! In the mesh's image it is the entry point, under the name that Istio's has (`pilot-agent`), of `istio-init` too.

use clap::Parser;
use std::{os::unix::process::CommandExt, process::ExitCode};

/// Small and quick on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The subcommand that is mesh-init's, which stands beside this program.
const RULES: &str = "istio-iptables";

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|verb| verb == RULES) {
        return become_init();
    }
    mesh_proxy::app::run(mesh_proxy::config::Command::parse())
}

/// Runs mesh-init in our place; returns only if that is not possible.
fn become_init() -> ExitCode {
    let us = std::env::current_exe().unwrap_or_default();
    let program = us.with_file_name("mesh-init");
    let mut command = std::process::Command::new(&program);
    let error = command.args(std::env::args_os().skip(1)).exec();
    eprintln!(
        "error: {}: {error}\nhint: mesh-init has to stand beside mesh-proxy",
        program.display()
    );
    ExitCode::FAILURE
}
