//! mesh-proxy
fn main() {}
