//! `meshctl kube-inject`.

use std::error::Error;
use std::path::Path;

use anyhow::Context;

use mesh_api::mesh_config::MeshConfig;
use mesh_injector::{Settings, kube_inject};

use crate::args::KubeInject;
use crate::failure::Failure;
use crate::fetch;

pub(super) fn run(args: &KubeInject) -> Result<String, Failure> {
    let settings = Settings {
        mesh: args
            .mesh_config
            .as_deref()
            .map_or_else(|| Ok(MeshConfig::default()), mesh_config)?,
        revision: args.revision.clone(),
        ..Settings::default()
    };
    let manifest = fetch::file(&args.file)?;
    let injected = kube_inject(&manifest, &settings).map_err(|refused| {
        let problems: Vec<_> = refused.iter().map(|refused| chain(refused)).collect();
        Failure::bad_data(anyhow::Error::msg(problems.join("\nerror: ")))
            .hint("nothing was written; every problem above has its place in the manifest")
    })?;
    for message in &injected.messages {
        eprintln!("{message}");
    }
    match &args.output {
        None => Ok(injected.text),
        Some(path) => {
            let written = std::fs::write(path, injected.text);
            written.with_context(|| format!("cannot write {}", path.display()))?;
            Ok(String::new())
        }
    }
}

/// The settings of the mesh from a file.
fn mesh_config(path: &Path) -> Result<MeshConfig, Failure> {
    let read = MeshConfig::read(&fetch::file(path)?);
    let read = read.map_err(|error| {
        Failure::bad_data(anyhow::Error::new(error).context(path.display().to_string()))
    })?;
    for field in &read.unknown {
        eprintln!(
            "warning: {}: {field} is not known to this version and has no effect",
            path.display()
        );
    }
    Ok(read.value)
}

/// An error with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
