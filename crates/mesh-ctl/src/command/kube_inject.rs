//! `meshctl kube-inject`.

use std::error::Error;
use std::path::Path;

use anyhow::Context;

use mesh_injector::{Settings, Texts, kube_inject};

use crate::args::KubeInject;
use crate::failure::Failure;
use crate::fetch::{self, Cluster, ClusterOptions, ConfigMaps};

pub(super) fn run(args: &KubeInject, cluster: &ClusterOptions) -> Result<String, Failure> {
    let settings = match asks_cluster(args, cluster) {
        true => of_cluster(args, cluster)?,
        false => of_files(args)?,
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

/// A cluster is asked if it is named, or if nothing else says what the settings are.
fn asks_cluster(args: &KubeInject, cluster: &ClusterOptions) -> bool {
    let maps = args.mesh_config_map.is_some() || args.inject_config_map.is_some();
    let files = [&args.mesh_config, &args.inject_config, &args.values];
    let files = files.iter().any(|file| file.is_some());
    maps || (!files && (cluster.is_named() || fetch::is_configured()))
}

/// What is installed, with the files over it.
fn of_cluster(args: &KubeInject, options: &ClusterOptions) -> Result<Settings, Failure> {
    let mut maps = ConfigMaps::of(args.revision.as_deref().unwrap_or_default());
    if let Some(name) = &args.inject_config_map {
        maps.injection.clone_from(name);
    }
    if let Some(name) = &args.mesh_config_map {
        maps.mesh.clone_from(name);
    }
    let (texts, native) = fetch::block_on(async {
        let cluster = Cluster::open(options).await?;
        let texts = cluster.injection(&maps).await?;
        Ok::<_, fetch::Error>((texts, cluster.runs_native_sidecars().await))
    })
    .map_err(|error| {
        let failure = Failure::from(error);
        failure
            .more("files do without a cluster: --injectConfigFile, --valuesFile, --meshConfigFile")
    })?;
    let native_sidecars = native.unwrap_or_else(|error| {
        let error = anyhow::Error::new(error);
        eprintln!("warning: it is not known which nodes run native sidecars, so classic ones are made: {error:#}");
        false
    });
    let read = read(args, texts)?;
    Ok(Settings {
        native_sidecars,
        ..read
    })
}

fn of_files(args: &KubeInject) -> Result<Settings, Failure> {
    read(args, Texts::default())
}

/// The settings in `texts`, with the files instead of them where they are given.
fn read(args: &KubeInject, mut texts: Texts) -> Result<Settings, Failure> {
    let files = [
        (&args.inject_config, &mut texts.config),
        (&args.values, &mut texts.values),
        (&args.mesh_config, &mut texts.mesh),
    ];
    for (file, text) in files {
        if let Some(file) = file {
            *text = fetch::file(file)?;
        }
    }
    let read = Settings::read(&texts).map_err(|error| named(args, error))?;
    for field in &read.unknown {
        eprintln!("warning: {field} is not known to this version and has no effect");
    }
    let mut settings = read.value;
    if let Some(revision) = &args.revision {
        settings.revision.clone_from(revision);
    }
    Ok(settings)
}

/// A text that is not understood; with the name of its file, if it came from one.
fn named(args: &KubeInject, error: mesh_injector::Unreadable) -> Failure {
    let file: Option<&Path> = match error.text {
        "injection config" => args.inject_config.as_deref(),
        "values" => args.values.as_deref(),
        _ => args.mesh_config.as_deref(),
    };
    let error = anyhow::Error::new(error);
    Failure::bad_data(match file {
        Some(file) => error.context(file.display().to_string()),
        None => error,
    })
}

/// An error with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
