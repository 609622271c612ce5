//! The binary `meshctl`; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_ctl::main()
}
