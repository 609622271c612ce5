//! `meshctl install`, `meshctl uninstall`, `meshctl manifest generate`.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use kube::core::DynamicObject;
use serde_json::Value;

use crate::args::{Install, Manifest, Uninstall, Wanted};
use crate::failure::Failure;
use crate::fetch::{self, Cluster, ClusterOptions};
use crate::install::{apply, check, manifest, options::Options, ownership, remove, wait};

/// What to do about a key that is refused.
const MISTAKE: &str = "mend it in the file or --set that has it; nothing was applied, since a part of the mesh would not start with it";

pub(super) fn generate(command: &Manifest, cluster: &ClusterOptions) -> Result<String, Failure> {
    let Manifest::Generate { wanted } = command;
    let options = options(wanted, cluster)?;
    Ok(manifest::text(&manifest::objects(
        &options,
        &cluster.istio_namespace,
    )))
}

pub(super) fn install(args: &Install, cluster: &ClusterOptions) -> Result<String, Failure> {
    let options = options(&args.wanted, cluster)?;
    let patience = Duration::try_from(args.readiness_timeout).unwrap_or_default();
    fetch::block_on(async {
        let cluster = Cluster::open(cluster).await.map_err(fetch::Error::from)?;
        let namespace = cluster.istio_namespace.clone();
        let mut objects = manifest::objects(&options, &namespace);
        let found = find_all(&cluster, &objects).await?;
        refuse_another_mesh(&cluster, &objects, &found, args.force).await?;
        for name in ownership::spare(&mut objects, &found, &namespace) {
            eprintln!("note: {name} was there before: it is used, and `uninstall` will leave it");
        }
        apply_all(&cluster, &objects, &found, args.dry_run).await?;
        prune(&cluster, options.revision(), &objects, args.dry_run).await?;
        if args.dry_run {
            return Ok("nothing was changed (--dry-run)\n".to_owned());
        }
        let done = match patience.is_zero() {
            true => "applied",
            false => {
                await_all(&cluster, &objects, patience).await?;
                "installed"
            }
        };
        let revision = options.revision();
        let label = match revision {
            "default" => "istio-injection=enabled".to_owned(),
            other => format!("istio.io/rev={other}"),
        };
        Ok(format!(
            "{done} revision {revision} in namespace {namespace}\nhint: kubectl label namespace NAME {label} puts its new pods into the mesh\n"
        ))
    })
}

/// What stands in the cluster under the name of each object.
async fn find_all(
    cluster: &Cluster,
    objects: &[Value],
) -> Result<Vec<Option<DynamicObject>>, Failure> {
    let mut found = Vec::new();
    for object in objects {
        let one = apply::find(&cluster.client, object).await;
        found.push(one.map_err(|error| not_applied(object, error))?);
    }
    Ok(found)
}

/// Another mesh is not overwritten, unless that is asked for.
async fn refuse_another_mesh(
    cluster: &Cluster,
    objects: &[Value],
    found: &[Option<DynamicObject>],
    force: bool,
) -> Result<(), Failure> {
    let namespace = &cluster.istio_namespace;
    let mut theirs = ownership::foreign(objects, found, namespace);
    // Who may not see them is refused nothing else for it.
    let others = ownership::other_control_planes(&cluster.client, namespace).await;
    for other in others.unwrap_or_default() {
        let name = format!("Deployment/{}", other.name);
        if other.namespace != *namespace {
            let place = other.namespace;
            eprintln!(
                "warning: there is another control plane, {name} in namespace {place}: a pod that the webhooks of both select gets two sidecars"
            );
        } else if !theirs.contains(&name) {
            theirs.push(name);
        }
    }
    if theirs.is_empty() || force {
        return Ok(());
    }
    let theirs = theirs.join(", ");
    let message =
        format!("another mesh is installed in namespace {namespace}, not by meshctl: {theirs}");
    Err(Failure::from(anyhow::Error::msg(message)).hint(
        "remove it first, or choose another namespace with -i; --force takes its objects over",
    ))
}

async fn apply_all(
    cluster: &Cluster,
    objects: &[Value],
    found: &[Option<DynamicObject>],
    dry_run: bool,
) -> Result<(), Failure> {
    for (object, before) in objects.iter().zip(found) {
        let change = apply::apply(&cluster.client, object, before.as_ref(), dry_run).await;
        let change = change.map_err(|error| not_applied(object, error))?;
        eprintln!("{} {}", apply::name(object), change.word());
    }
    Ok(())
}

fn not_applied(object: &Value, error: fetch::ClusterError) -> Failure {
    let hint = error.hint();
    let error = anyhow::Error::new(error);
    Failure::from(error.context(format!("{} is not applied", apply::name(object)))).hint(hint)
}

/// What an earlier installation of the revision had, and this one has not.
async fn prune(
    cluster: &Cluster,
    revision: &str,
    objects: &[Value],
    dry_run: bool,
) -> Result<(), Failure> {
    let namespace = &cluster.istio_namespace;
    let gone = remove::prune(&cluster.client, namespace, revision, objects, dry_run).await;
    let word = if dry_run { "would be pruned" } else { "pruned" };
    for name in gone.map_err(fetch::Error::from)? {
        eprintln!("{name} {word}");
    }
    Ok(())
}

async fn await_all(
    cluster: &Cluster,
    objects: &[Value],
    patience: Duration,
) -> Result<(), Failure> {
    let deployments = objects
        .iter()
        .filter(|object| object["kind"] == "Deployment");
    let names: Vec<_> = deployments
        .filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    let namespace = &cluster.istio_namespace;
    let missing = wait::ready(&cluster.client, namespace, &names, patience).await;
    let missing = missing.map_err(fetch::Error::from)?;
    if missing.is_empty() {
        return Ok(());
    }
    let lines = missing
        .iter()
        .map(|(name, why)| format!("\n  deployment {name}: {why}"));
    let lines: String = lines.collect();
    let message = format!("not ready within {patience:?}:{lines}");
    Err(Failure::from(anyhow::Error::msg(message)).hint(format!(
        "kubectl -n {namespace} describe pods tells more; what is applied goes on by itself, and `meshctl install` may be repeated"
    )))
}

pub(super) fn uninstall(args: &Uninstall, cluster: &ClusterOptions) -> Result<String, Failure> {
    let revision = args.revision.as_deref();
    if !args.dry_run && !args.skip_confirmation && !confirmed(revision)? {
        return Ok("nothing was changed\n".to_owned());
    }
    fetch::block_on(async {
        let cluster = Cluster::open(cluster).await.map_err(fetch::Error::from)?;
        let namespace = &cluster.istio_namespace;
        let gone = remove::remove(&cluster.client, namespace, revision, args.dry_run).await;
        let gone = gone.map_err(fetch::Error::from)?;
        let word = if args.dry_run {
            "would be removed"
        } else {
            "removed"
        };
        for name in &gone {
            eprintln!("{name} {word}");
        }
        Ok(match (gone.len(), args.dry_run) {
            (0, _) => "there was nothing to remove\n".to_owned(),
            (count, true) => format!("{count} objects would be removed (--dry-run)\n"),
            (count, false) => format!("{count} objects removed\n"),
        })
    })
}

fn confirmed(revision: Option<&str>) -> Result<bool, Failure> {
    let what = match revision {
        Some(revision) => format!("revision {revision} of the mesh"),
        None => "the whole mesh with its certificate authority".to_owned(),
    };
    if !io::stdin().is_terminal() {
        return Err(
            Failure::usage(format!("{what} would be removed, and nobody can be asked"))
                .hint("-y removes it without asking, --dry-run only tells what would go"),
        );
    }
    eprint!("Remove {what}? (y/N) ");
    let mut answer = String::new();
    let read = io::stderr()
        .flush()
        .and_then(|()| io::stdin().read_line(&mut answer));
    read.context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Defaults, files, single values; what has no effect is told, and what the installed programs would refuse is refused.
pub(super) fn options(wanted: &Wanted, cluster: &ClusterOptions) -> Result<Options, Failure> {
    let mut options = Options::default();
    for file in &wanted.files {
        let read = options.file(&fetch::file(file)?).map_err(|error| {
            let error = anyhow::Error::new(error);
            Failure::bad_data(error.context(file.display().to_string()))
        })?;
        warn(&read.unknown, &file.display().to_string());
        options = read.value;
    }
    for set in &wanted.set {
        options = options.set(set).map_err(|error| {
            let hint = "see the examples of `meshctl install --help`";
            Failure::usage(error.to_string()).hint(hint)
        })?;
    }
    if let Some(revision) = &wanted.revision {
        options.revision.clone_from(revision);
    }
    let keys = check::check(&options, &cluster.istio_namespace)
        .map_err(|mistake| Failure::bad_data(mistake).hint(MISTAKE))?;
    warn(&keys, "these options");
    Ok(options)
}

fn warn(keys: &[String], place: &str) {
    for key in keys {
        eprintln!("warning: {place}: {key} is not known to this version and has no effect");
    }
}
