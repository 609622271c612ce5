//! `meshctl kube-inject`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use anyhow::Context;

use mesh_injector::{Settings, Texts, kube_inject};

use crate::args::{KubeInject, Wanted};
use crate::failure::Failure;
use crate::fetch::{self, Cluster, ClusterOptions};
use crate::install::installed::{Injector, NoPlace, NotKnown, Place};
use crate::install::{check, manifest, webhook};

pub(super) fn run(args: &KubeInject, cluster: &ClusterOptions) -> Result<String, Failure> {
    let settings = match asks_cluster(args, cluster) {
        true => of_cluster(args, cluster)?,
        false => of_files(args, cluster)?,
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

/// A cluster is asked if something of it is named, or if nothing else says what the settings are.
fn asks_cluster(args: &KubeInject, cluster: &ClusterOptions) -> bool {
    let names = [
        &args.mesh_config_map,
        &args.inject_config_map,
        &args.webhook_config,
    ];
    let files = [
        &args.mesh_config,
        &args.inject_config,
        &args.values,
        &args.operator,
    ];
    let files = files.iter().any(|file| file.is_some());
    names.iter().any(|name| name.is_some())
        || (!files && (cluster.is_named() || fetch::is_configured()))
}

/// What is installed, with the files over it.
fn of_cluster(args: &KubeInject, options: &ClusterOptions) -> Result<Settings, Failure> {
    let injector = fetch::block_on(async {
        let mut cluster = Cluster::open(options).await.map_err(fetch::Error::from)?;
        let mut place = match &args.webhook_config {
            Some(name) => Place::of_webhook(name, &mut cluster).await?,
            None => Place::of(args.revision.as_deref().unwrap_or_default()),
        };
        if let Some(name) = &args.inject_config_map {
            place.maps.injection.clone_from(name);
        }
        if let Some(name) = &args.mesh_config_map {
            place.maps.mesh.clone_from(name);
        }
        Ok::<_, Failure>(Injector::ask(&cluster, &place).await?)
    })
    .map_err(|failure| {
        failure
            .more("files do without a cluster: --injectConfigFile, --valuesFile, --meshConfigFile")
    })?;
    let settings = read(args, injector.texts.clone())?;
    let settings = injector.settings(settings)?;
    Ok(with_revision(args, settings))
}

/// What files say; an installation's options are what would be installed with them.
fn of_files(args: &KubeInject, cluster: &ClusterOptions) -> Result<Settings, Failure> {
    let Some(file) = &args.operator else {
        return Ok(with_revision(args, read(args, Texts::default())?));
    };
    let wanted = Wanted {
        files: vec![file.clone()],
        set: Vec::new(),
        revision: args.revision.clone(),
    };
    let options = super::install::options(&wanted, cluster)?;
    let objects = manifest::objects(&options, &cluster.istio_namespace);
    let settings = read(
        args,
        manifest::injection(&options, &cluster.istio_namespace),
    )?;
    let command = webhook::started(check::injector(&objects)).map_err(Failure::bad_data)?;
    Ok(webhook::in_force(&command, settings, BTreeMap::new()))
}

fn with_revision(args: &KubeInject, mut settings: Settings) -> Settings {
    if let Some(revision) = &args.revision {
        settings.revision.clone_from(revision);
    }
    settings
}

impl From<NoPlace> for Failure {
    fn from(error: NoPlace) -> Self {
        let hint = match &error {
            NoPlace::Cluster(error) => Some(error.hint()),
            NoPlace::Missing { others, .. } if others.is_empty() => {
                Some("no webhook of this cluster injects: `meshctl install`".into())
            }
            NoPlace::Missing { others, .. } => Some(format!("there are: {}", others.join(", "))),
            NoPlace::Elsewhere(_) => None,
        };
        let failure = Self::from(anyhow::Error::new(error));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<NotKnown> for Failure {
    fn from(error: NotKnown) -> Self {
        let hint = match &error {
            NotKnown::Cluster(error) => error.hint(),
            NotKnown::Started(_) => {
                "mend values.pilot.env or injector.arguments, and `meshctl install` again".into()
            }
            NotKnown::Path(_) => {
                "mend values.sidecarInjectorWebhook.injectionPath, and `meshctl install` again"
                    .into()
            }
        };
        Self::from(anyhow::Error::new(error)).hint(hint)
    }
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
    Ok(read.value)
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
