//! Container images, packed without a container engine: files of this machine in one layer, as an OCI image layout.
//!
//! A program is taken with the shared libraries that it runs with here, so that what was built on this machine runs in
//! its image whatever the machine's libc is. Nothing else of a distribution is in an image.

mod layout; //    blobs, manifests, the archive
mod libraries; // what a program loads
mod recipe; //    the images that we pack
mod reference; // `nginx:latest` and what it is short for
mod tree; //      files of one layer

pub(crate) use layout::{Layout, MANIFEST};
pub(crate) use recipe::{CLIENT, MESH, client, mesh, nginx, pause};
pub(crate) use reference::Reference;
pub(crate) use tree::{Tree, find};

use anyhow::{Context, Result};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// An image that is not packed yet.
pub(crate) struct Image {
    /// What it is pulled as.
    pub(crate) name: Reference,
    /// Its files.
    pub(crate) tree: Tree,
    /// How it is run.
    pub(crate) run: Run,
}

/// How a container of an image is run where its pod says nothing else.
#[derive(Default)]
pub(crate) struct Run {
    /// First words of its command line.
    pub(crate) entry_point: Vec<String>,
    /// Further words, which a pod's `args` replace.
    pub(crate) arguments: Vec<String>,
    /// User, and group if it has a colon; empty: root.
    pub(crate) user: String,
    /// Signal that asks it to end; empty: SIGTERM.
    pub(crate) stop_signal: String,
    /// Ports that it says it listens on, such as `80/tcp`.
    pub(crate) ports: Vec<String>,
}

/// Arguments of `image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder of the programs.
    #[arg(long)]
    programs: PathBuf,
    /// Archive to write.
    #[arg(long, default_value = "mesh-image.tar")]
    output: PathBuf,
    /// Name that it is loaded as.
    #[arg(long, default_value = MESH)]
    name: String,
}

/// Packs the mesh's image into an archive that container engines load.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let Options {
        programs,
        output,
        name,
    } = options;
    let folder = output.with_extension("layout");
    let digest = pack(&programs, &name, &folder, &output);
    let _ = std::fs::remove_dir_all(&folder);
    println!("{name} {}", digest?);
    println!("written to {}", output.display());
    println!("hint: docker load -i FILE, podman load -i FILE, ctr -n k8s.io images import FILE");
    Ok(ExitCode::SUCCESS)
}

fn pack(programs: &Path, name: &str, folder: &Path, output: &Path) -> Result<String> {
    let mut layout = Layout::new(folder)?;
    let mut image = mesh(programs)?;
    image.name = name.parse()?;
    let digest = layout.add(&image)?;
    layout
        .archive(output)
        .with_context(|| output.display().to_string())?;
    Ok(digest)
}
