//! Rust code for our own protos: messages, and client and server of the services.

use std::collections::BTreeMap;

use anyhow::Result;
use prost_build::{Config, Module};
use prost_types::FileDescriptorProto;

/// One Rust file for each protobuf package, by file name.
///
/// Maps become B-tree maps, so that equal messages encode to equal bytes.
pub(crate) fn generate(files: Vec<FileDescriptorProto>) -> Result<BTreeMap<String, String>> {
    let mut config = Config::new();
    config
        .btree_map(["."])
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .service_generator(tonic_prost_build::configure().service_generator());
    let requests = files
        .into_iter()
        .map(|f| (Module::from_protobuf_package_name(f.package()), f))
        .collect();
    let modules = config.generate(requests)?;
    Ok(modules
        .into_iter()
        .map(|(module, code)| (module.to_file_name_or("_"), code))
        .collect())
}
