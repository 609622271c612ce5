//! Generates what mesh-xds keeps under `src/generated`: the descriptors for proto-JSON and the Rust code of our own
//! protos.
//!
//! `cargo run -p mesh-codegen` writes the files, `-- --check` only compares and fails when one is stale. Needs neither
//! protoc nor a network: Envoy's descriptors come out of the envoy-types package that Cargo has unpacked, ours are
//! compiled here. The same inputs give the same bytes on every machine.

mod descriptors;
mod envoy;
mod own;
mod rust;
mod tree;

use anyhow::{Result, bail};
use tree::Tree;

fn main() -> Result<()> {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [arg] if arg == "--check" => true,
        _ => bail!("usage: mesh-codegen [--check]"),
    };
    let tree = generate()?;
    if check { tree.check() } else { tree.write() }
}

/// All generated files, in memory.
fn generate() -> Result<Tree> {
    let own = own::compile()?;
    let mut tree = Tree::default();
    tree.add(
        "descriptors.bin",
        descriptors::encode(envoy::descriptors()?, &own),
    );
    for (name, code) in rust::generate(own)? {
        tree.add(name, code.into_bytes());
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checked_in_files_are_current() -> Result<()> {
        generate()?.check()
    }

    #[test]
    fn two_runs_give_the_same_bytes() -> Result<()> {
        assert!(
            generate()? == generate()?,
            "generation depends on something besides its inputs"
        );
        Ok(())
    }
}
