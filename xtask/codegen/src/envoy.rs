//! Envoy's descriptors, as the envoy-types package carries them.

use std::fs;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::tree::ROOT;

/// The descriptors of every file that envoy-types was generated from, imports before importers.
pub(crate) fn descriptors() -> Result<Vec<FileDescriptorProto>> {
    let metadata = MetadataCommand::new()
        .manifest_path(format!("{ROOT}/Cargo.toml"))
        // Nothing but what the lock file names, and of that only what a build on Linux unpacks.
        .other_options(
            ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(String::from),
        )
        .exec()
        .context("ask Cargo where envoy-types is")?;
    let package = metadata
        .packages
        .iter()
        .find(|p| p.name.as_str() == "envoy-types")
        .context("envoy-types is not a dependency any more")?;
    let path = package
        .manifest_path
        .with_file_name("src")
        .join("generated/types.bin");
    let bytes = fs::read(&path).with_context(|| format!("read {path}"))?;
    let set =
        FileDescriptorSet::decode(bytes.as_slice()).with_context(|| format!("decode {path}"))?;
    Ok(set.file)
}
