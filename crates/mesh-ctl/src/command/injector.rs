//! `meshctl experimental injector list`.

use std::collections::BTreeMap;

use kube::Api;
use kube::api::ListParams;
use mesh_api::k8s::api::core::v1::{Namespace, Pod};
use mesh_injector::{IGNORED_NAMESPACES, NamespaceFacts, Settings};

use crate::args::Cli;
use crate::failure::Failure;
use crate::fetch::{self, Cluster, ClusterError, ConfigMaps};
use crate::inspect::hooks;
use crate::inspect::injection::{injectors, revision};
use crate::view::hooks::{Hook, tables};

/// What must be known of a cluster.
struct Answers {
    namespaces: Vec<NamespaceFacts>,
    pods: Vec<Pod>,
    hooks: Vec<mesh_api::k8s::api::admissionregistration::v1::MutatingWebhookConfiguration>,
    /// The image that is injected, by revision.
    images: BTreeMap<String, String>,
}

pub(super) fn list(cli: &Cli) -> Result<String, Failure> {
    let answers = fetch::block_on(async {
        let cluster = Cluster::open(&cli.cluster).await?;
        Ok::<_, fetch::Error>(Answers::ask(&cluster).await?)
    })?;
    let injected = hooks::injected(&answers.namespaces, &answers.hooks, &answers.pods);
    let hooks = answers.hooks.iter().map(|hook| {
        let takes = |namespace: &&NamespaceFacts| {
            let one = std::slice::from_ref(hook);
            hooks::of_namespace(one, &namespace.labels).next().is_some()
        };
        let namespaces = answers.namespaces.iter().filter(takes);
        let revision = revision(hook);
        Hook {
            namespaces: namespaces.map(|one| one.name.clone()).collect(),
            name: hook.metadata.name.clone().unwrap_or_default(),
            revision: revision.to_owned(),
            image: answers.images.get(revision).cloned().unwrap_or_default(),
        }
    });
    Ok(tables(&injected, &hooks.collect::<Vec<_>>()))
}

impl Answers {
    async fn ask(cluster: &Cluster) -> Result<Self, ClusterError> {
        let everything = ListParams::default();
        let all: Api<Namespace> = Api::all(cluster.client.clone());
        let namespaces = all.list(&everything).await?.items.into_iter();
        let namespaces = namespaces.map(|namespace| NamespaceFacts {
            name: namespace.metadata.name.unwrap_or_default(),
            labels: namespace.metadata.labels.unwrap_or_default(),
        });
        let is_shown = |namespace: &NamespaceFacts| {
            let name = namespace.name.as_str();
            name != cluster.istio_namespace && !IGNORED_NAMESPACES.contains(&name)
        };
        let pods: Api<Pod> = Api::all(cluster.client.clone());
        let hooks = injectors(cluster.webhooks().await?);
        let mut images = BTreeMap::new();
        for hook in &hooks {
            let revision = revision(hook);
            if images.contains_key(revision) {
                continue;
            }
            match image(cluster, revision).await {
                Ok(image) => {
                    images.insert(revision.to_owned(), image);
                }
                Err(error) => {
                    eprintln!("warning: what revision {revision} injects is not known: {error:#}");
                }
            }
        }
        Ok(Self {
            namespaces: namespaces.filter(is_shown).collect(),
            pods: pods.list(&everything).await?.items,
            hooks,
            images,
        })
    }
}

async fn image(cluster: &Cluster, revision: &str) -> anyhow::Result<String> {
    let texts = cluster.injection(&ConfigMaps::of(revision)).await?;
    Ok(Settings::read(&texts)?.value.images.proxy)
}
