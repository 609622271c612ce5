//! mesh-init
fn main() {}
