//! The `mesh-init` program: hands its arguments to the library and returns its verdict.
//!
//! Everything lives in the library, so that the same code can answer to another name (`istio-iptables`) or inside
//! another program.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_init::run(std::env::args_os())
}
