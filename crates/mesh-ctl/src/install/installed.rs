//! An injector that runs in a cluster: everything that its decisions depend on, asked of the API server.

use std::collections::BTreeMap;

use kube::Api;
use mesh_api::k8s::api::admissionregistration::v1::MutatingWebhookConfiguration;
use mesh_api::k8s::api::apps::v1::Deployment;
use mesh_injector::webhook::config::Command;
use mesh_injector::{Settings, Texts};

use super::webhook::{self, Unstartable};
use crate::fetch::{Cluster, ClusterError, ConfigMaps};

/// Where an injector is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its config maps.
    pub(crate) maps: ConfigMaps,
    /// Its Deployment.
    pub(crate) deployment: String,
    /// What the path of its URL says; empty for nothing.
    pub(crate) path: String,
}

/// Why the webhook of a configuration cannot be stood in for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPlace {
    /// The API server does not say.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// There is none of that name.
    #[error("there is no MutatingWebhookConfiguration `{name}`")]
    Missing {
        /// What was typed.
        name: String,
        /// Those that there are.
        others: Vec<String>,
    },
    /// Nothing in the cluster answers.
    #[error(
        "the webhook of `{0}` is called by a URL, not by a Service: its settings are not in this cluster"
    )]
    Elsewhere(String),
}

/// What an injector decides by.
#[derive(Debug)]
pub(crate) struct Injector {
    /// What its config maps say.
    pub(crate) texts: Texts,
    /// What it was started with.
    pub(crate) command: Command,
    /// Whether the kubelets are new, by the name of their node.
    pub(crate) kubelets: BTreeMap<String, bool>,
    path: String,
}

impl Place {
    /// That of a revision, under the names that an installation gives.
    pub(crate) fn of(revision: &str) -> Self {
        let maps = ConfigMaps::of(revision);
        Self {
            deployment: maps.injection.clone(),
            path: String::new(),
            maps,
        }
    }

    /// That of the webhook of a configuration. The namespace is that of its Service, and becomes that of `cluster`.
    ///
    /// # Errors
    /// If there is no such webhook in this cluster.
    pub(crate) async fn of_webhook(name: &str, cluster: &mut Cluster) -> Result<Self, NoPlace> {
        let api: Api<MutatingWebhookConfiguration> = Api::all(cluster.client.clone());
        let found = api.get_opt(name).await.map_err(ClusterError::from)?;
        let Some(configuration) = found else {
            return Err(NoPlace::Missing {
                name: name.to_owned(),
                others: injectors(cluster).await,
            });
        };
        let service = webhook::service(&configuration);
        let (namespace, service, path) =
            service.ok_or_else(|| NoPlace::Elsewhere(name.to_owned()))?;
        namespace.clone_into(&mut cluster.istio_namespace);
        let revision = crate::inspect::injection::revision(&configuration);
        Ok(Self {
            deployment: service.to_owned(),
            path: path.unwrap_or_default().to_owned(),
            ..Self::of(revision)
        })
    }
}

async fn injectors(cluster: &Cluster) -> Vec<String> {
    let all = cluster.webhooks().await.unwrap_or_default();
    let all = crate::inspect::injection::injectors(all).into_iter();
    all.filter_map(|one| one.metadata.name).collect()
}

impl Injector {
    /// Asks for everything. What we may not see, and what is only guessed then, is told as a warning.
    ///
    /// # Errors
    /// If the config maps are not there, or the injector cannot have been started so.
    pub(crate) async fn ask(cluster: &Cluster, place: &Place) -> Result<Self, NotKnown> {
        let texts = cluster.injection(&place.maps).await?;
        let deployment = deployment(cluster, &place.deployment).await;
        let deployment = deployment.unwrap_or_else(|why| {
            eprintln!(
                "warning: the defaults are taken for what the injector was started with: {why}"
            );
            serde_json::Value::Null
        });
        let command = webhook::started(&deployment)?;
        let kubelets = cluster.kubelets().await;
        let kubelets = kubelets.unwrap_or_else(|error| {
            let error = anyhow::Error::new(error);
            if command.asks_for_kubelets() {
                eprintln!("warning: it is not known which nodes run native sidecars, so classic ones are made: {error:#}");
            }
            BTreeMap::new()
        });
        Ok(Self {
            texts,
            command,
            kubelets,
            path: place.path.clone(),
        })
    }

    /// What is in force in it, where its config maps say `settings`.
    ///
    /// # Errors
    /// If the path of its URL is not what it takes.
    pub(crate) fn settings(&self, settings: Settings) -> Result<Settings, NotKnown> {
        let mut settings = webhook::in_force(&self.command, settings, self.kubelets.clone());
        webhook::follow(&self.path, &mut settings)?;
        Ok(settings)
    }
}

/// Why it is not known what an injector decides by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKnown {
    /// The API server does not say.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// It cannot run.
    #[error("the installed injector cannot start")]
    Started(#[from] Unstartable),
    /// It would answer nothing.
    #[error("the path of the webhook")]
    Path(#[from] mesh_injector::webhook::path::Unpaired),
}

async fn deployment(cluster: &Cluster, name: &str) -> Result<serde_json::Value, String> {
    let namespace = &cluster.istio_namespace;
    let found = cluster.api::<Deployment>(namespace).get_opt(name).await;
    match found.map_err(|error| ClusterError::from(error).to_string())? {
        Some(deployment) => serde_json::to_value(deployment).map_err(|error| error.to_string()),
        None => Err(format!(
            "there is no deployment {name} in namespace {namespace}"
        )),
    }
}
