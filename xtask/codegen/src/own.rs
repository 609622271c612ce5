//! Our own protos, compiled from `proto/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost_types::FileDescriptorProto;

use crate::tree::ROOT;

/// Compiles every `.proto` below `proto/`, with its comments; what it imports stands before it.
pub(crate) fn compile() -> Result<Vec<FileDescriptorProto>> {
    let root = Path::new(ROOT).join("proto");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true);
    Ok(compiler.open_files(&files)?.file_descriptor_set().file)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
