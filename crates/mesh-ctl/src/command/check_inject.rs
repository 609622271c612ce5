//! `meshctl check-inject`.

use std::collections::BTreeMap;

use mesh_api::k8s::api::admissionregistration::v1::MutatingWebhookConfiguration;
use mesh_injector::Settings;
use serde_json::Value;

use crate::args::{CheckInject, Cli};
use crate::failure::Failure;
use crate::fetch::{self, Cluster, ClusterError, PodName};
use crate::inspect::injection::{
    self, Subject, has_sidecar, injectors, labelled, nobody_asks, revision, verdicts,
};
use crate::install::installed::{Injector, NotKnown, Place};
use crate::view;

pub(super) fn run(args: &CheckInject, cli: &Cli) -> Result<String, Failure> {
    fetch::block_on(async {
        let cluster = Cluster::open(&cli.cluster)
            .await
            .map_err(fetch::Error::from)?;
        let namespace = cli.namespace.as_deref();
        let namespace = namespace.unwrap_or(cluster.default_namespace());
        let (namespace, pod) = match &args.target {
            None => (namespace.to_owned(), labelled(&pairs(&args.labels)?)),
            Some(typed) => target(&cluster, &PodName::new(typed, namespace)).await?,
        };
        let facts = cluster
            .namespace(&namespace)
            .await
            .map_err(fetch::Error::from)?;
        let subject = Subject {
            namespace: facts,
            pod,
        };
        let webhooks = cluster.webhooks().await.map_err(fetch::Error::from)?;
        let webhooks = injectors(webhooks);
        let mut settings = BTreeMap::new();
        for webhook in &webhooks {
            let revision = revision(webhook);
            if !settings.contains_key(revision)
                && let Some(read) = settings_of(&cluster, webhook).await
            {
                settings.insert(revision.to_owned(), read);
            }
        }
        let verdicts = verdicts(&webhooks, &subject, &settings);
        advise(&verdicts, &subject, args.target.is_some());
        Ok(view::injection::table(&verdicts))
    })
}

/// `key=value` pairs.
fn pairs(typed: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |typed: &String| match typed.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Failure::usage(format!(
            "--labels: `{typed}` is not <key>=<value>"
        ))),
    };
    typed.iter().map(pair).collect()
}

/// The pod that is there, or the one that a workload would make; with its namespace.
async fn target(cluster: &Cluster, name: &PodName) -> Result<(String, Value), fetch::Error> {
    if name.is_workload() {
        let (namespace, workload) = cluster.workload(name).await?;
        if let Some(template) = workload.data.pointer("/spec/template") {
            return Ok((namespace, template.clone()));
        }
    }
    let (namespace, pod) = cluster.pod(name).await?;
    Ok((namespace.clone(), cluster.pod_json(&namespace, &pod).await?))
}

/// The settings of the revision's webhook. Without them the selectors still tell most.
async fn settings_of(
    cluster: &Cluster,
    webhook: &MutatingWebhookConfiguration,
) -> Option<Settings> {
    let revision = revision(webhook);
    let name = webhook.metadata.name.as_deref().unwrap_or_default();
    // The cluster as that webhook's Service stands in it.
    let mut cluster = cluster.clone();
    let place = Place::of_webhook(name, &mut cluster).await.ok()?;
    let injector = match Injector::ask(&cluster, &place).await {
        Ok(injector) => injector,
        // Another mesh keeps them elsewhere.
        Err(NotKnown::Cluster(ClusterError::NoConfigMap { .. })) => return None,
        Err(error) => return unknown(revision, &anyhow::Error::new(error)),
    };
    let settings = match Settings::read(&injector.texts) {
        Ok(read) => injector.settings(read.value),
        Err(error) => return unknown(revision, &anyhow::Error::new(error)),
    };
    match settings {
        Ok(settings) => Some(settings),
        Err(error) => unknown(revision, &anyhow::Error::new(error)),
    }
}

fn unknown(revision: &str, error: &anyhow::Error) -> Option<Settings> {
    eprintln!(
        "warning: only labels are looked at for revision {revision}, because its settings are not known: {error:#}"
    );
    None
}

/// What the user can do, on standard error: the table stays a table.
fn advise(verdicts: &[injection::Verdict], subject: &Subject, exists: bool) {
    let injects = verdicts.iter().any(|verdict| verdict.injected);
    let namespace = &subject.namespace.name;
    if verdicts.is_empty() {
        eprintln!("hint: `meshctl install` brings the mesh into this cluster");
    } else if !injects && nobody_asks(subject) {
        let is_default =
            |verdict: &injection::Verdict| matches!(verdict.revision.as_str(), "" | "default");
        let label = match verdicts.iter().any(is_default) {
            true => "istio-injection=enabled".to_owned(),
            false => format!("istio.io/rev={}", verdicts[0].revision),
        };
        eprintln!(
            "hint: `kubectl label namespace {namespace} {label}` puts its new pods into the mesh"
        );
    }
    let is_pod = subject.pod.get("status").is_some();
    if exists && is_pod && injects && !has_sidecar(&subject.pod) {
        eprintln!(
            "hint: the pod itself has no sidecar: it is older than what would now inject it; restart it, such as with `kubectl -n {namespace} rollout restart`"
        );
    }
    if exists && is_pod && !injects && has_sidecar(&subject.pod) {
        eprintln!("hint: the pod itself has a sidecar, which it would lose when it is made anew");
    }
}
