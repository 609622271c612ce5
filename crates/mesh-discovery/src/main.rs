//! mesh-discovery
fn main() {}
