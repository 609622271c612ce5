//! The sidecar proxy of the mesh: `mesh-proxy proxy sidecar`, and `mesh-proxy agent` for a pod with another data plane.

use clap::Parser;
use std::process::ExitCode;

/// Small and quick on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mesh_proxy::app::run(mesh_proxy::config::Command::parse())
}
