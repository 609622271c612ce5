//! The roots of the mesh as a ConfigMap in every namespace (`istio-ca-root-cert`), which pods mount to know the control
//! plane by.
//!
//! Written where it is missing or says something else, so that one that is edited or deleted is mended at once.

use crate::{
    ca::authority::Authority,
    watch::{WATCH_SECONDS, Watchers},
};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
    runtime::watcher::{self, Event, watcher},
};
use mesh_api::k8s::{
    api::core::v1::{ConfigMap, Namespace},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// Name of the ConfigMap.
const NAME: &str = crate::ca::secret::ROOTS;
/// Its key.
const KEY: &str = "root-cert.pem";
/// Pause before what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Who has written it, for the API server.
const MANAGER: &str = "mesh-discovery";

/// Keeps the ConfigMaps.
pub struct RootCertificates {
    client: Client,
    watchers: Watchers,
    roots: watch::Receiver<Arc<Authority>>,
    /// Namespaces that are not about to go.
    namespaces: Listed<()>,
    /// What their ConfigMaps say.
    config_maps: Listed<String>,
    /// Namespaces to look at.
    due: BTreeSet<String>,
}

/// Something in each namespace, as a watch tells it.
struct Listed<T> {
    now: BTreeMap<String, T>,
    /// Namespaces in the list under way.
    listed: BTreeSet<String>,
    complete: bool,
}

/// What a watch tells.
enum Told<T> {
    Begin,
    /// What is in a namespace; nothing if it is gone.
    Is(String, Option<T>),
    End,
}

enum Seen {
    Namespace(Told<()>),
    ConfigMap(Told<String>),
}

impl RootCertificates {
    /// Of the authority that `roots` follows. `watchers` are all that watch the same API server.
    pub fn new(client: Client, watchers: Watchers, roots: watch::Receiver<Arc<Authority>>) -> Self {
        Self {
            client,
            watchers,
            roots,
            namespaces: Listed::default(),
            config_maps: Listed::default(),
            due: BTreeSet::new(),
        }
    }

    /// Runs as long as the authority lives.
    pub async fn run(mut self) {
        let mut seen = futures_util::stream::select(self.namespaces(), self.config_maps());
        loop {
            let retry = !self.due.is_empty();
            tokio::select! {
                Some(seen) = seen.next() => self.note(seen),
                changed = self.roots.changed() => match changed {
                    Ok(()) => self.due.extend(self.namespaces.now.keys().cloned()),
                    Err(_) => return,
                },
                () = tokio::time::sleep(RETRY), if retry => {}
            }
            if self.namespaces.complete && self.config_maps.complete {
                self.write().await;
            }
        }
    }

    fn namespaces(&self) -> BoxStream<'static, Seen> {
        let all = Api::<PartialObjectMeta<Namespace>>::all(self.client.clone());
        let events = self.watchers.patiently(watcher(all, config()));
        let read = |namespace: PartialObjectMeta<Namespace>| {
            let stays = namespace.metadata.deletion_timestamp.is_none();
            (namespace.name_any(), stays.then_some(()))
        };
        told(events, read).map(Seen::Namespace).boxed()
    }

    fn config_maps(&self) -> BoxStream<'static, Seen> {
        let ours = config().fields(&format!("metadata.name={NAME}"));
        let events = watcher(Api::<ConfigMap>::all(self.client.clone()), ours);
        let read = |map: ConfigMap| {
            let says = map.data.and_then(|mut data| data.remove(KEY));
            (map.metadata.namespace.unwrap_or_default(), says)
        };
        told(self.watchers.patiently(events), read)
            .map(Seen::ConfigMap)
            .boxed()
    }

    fn note(&mut self, seen: Seen) {
        let changed = match seen {
            Seen::Namespace(told) => self.namespaces.note(told),
            Seen::ConfigMap(told) => self.config_maps.note(told),
        };
        self.due.extend(changed);
    }

    /// Writes what is due; what fails stays due.
    async fn write(&mut self) {
        let roots = self.roots.borrow().roots().to_pem();
        let wrong = |namespace: &String| {
            self.namespaces.now.contains_key(namespace)
                && self.config_maps.now.get(namespace) != Some(&roots)
        };
        let (mut failed, mut away) = (BTreeSet::new(), false);
        for namespace in std::mem::take(&mut self.due).into_iter().filter(wrong) {
            // A server that is away for one namespace is so for all.
            if away {
                failed.insert(namespace);
                continue;
            }
            match self.write_one(&namespace, &roots).await {
                Ok(()) => tracing::debug!(namespace, "wrote the roots of the mesh"),
                Err(error) => {
                    tracing::warn!(namespace, %error, "cannot write the roots of the mesh, will try again");
                    away = !matches!(&error, kube::Error::Api(status) if status.code < 500);
                    failed.insert(namespace);
                }
            }
        }
        self.due = failed;
    }

    async fn write_one(&self, namespace: &str, roots: &str) -> Result<(), kube::Error> {
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(NAME.into()),
                namespace: Some(namespace.into()),
                labels: Some([("istio.io/config".to_owned(), "true".to_owned())].into()),
                ..ObjectMeta::default()
            },
            data: Some([(KEY.to_owned(), roots.to_owned())].into()),
            ..ConfigMap::default()
        };
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        let ours = PatchParams::apply(MANAGER).force();
        match api.patch(NAME, &ours, &Patch::Apply(&map)).await {
            Ok(_) => Ok(()),
            // The namespace is going; so will this be.
            Err(kube::Error::Api(status)) if status.is_not_found() || is_terminating(&status) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn is_terminating(status: &kube::core::Status) -> bool {
    status.is_forbidden() && status.message.contains("being terminated")
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// The events of a watch with what is read of each object: its namespace, and what is there.
fn told<K: 'static, T: Send + 'static>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    read: fn(K) -> (String, Option<T>),
) -> impl Stream<Item = Told<T>> + Send {
    events.filter_map(move |event| {
        let is = |(namespace, there)| Told::Is(namespace, there);
        let told = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => Some(is(read(object))),
            Ok(Event::Delete(object)) => Some(is((read(object).0, None))),
            Ok(Event::Init) => Some(Told::Begin),
            Ok(Event::InitDone) => Some(Told::End),
            Err(error) => {
                tracing::debug!(%error, "a watch has failed and will try again");
                None
            }
        };
        std::future::ready(told)
    })
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            now: BTreeMap::new(),
            listed: BTreeSet::new(),
            complete: false,
        }
    }
}

impl<T: PartialEq> Listed<T> {
    /// Takes what is told, and says which namespaces it changes.
    fn note(&mut self, told: Told<T>) -> Vec<String> {
        match told {
            Told::Begin => {
                self.listed.clear();
                Vec::new()
            }
            Told::Is(namespace, there) => {
                self.listed.insert(namespace.clone());
                match there {
                    Some(there) if self.now.get(&namespace) == Some(&there) => return Vec::new(),
                    Some(there) => self.now.insert(namespace.clone(), there),
                    None => self.now.remove(&namespace),
                };
                vec![namespace]
            }
            Told::End => {
                self.complete = true;
                let gone: Vec<_> = self
                    .now
                    .keys()
                    .filter(|namespace| !self.listed.contains(*namespace))
                    .cloned()
                    .collect();
                for namespace in &gone {
                    self.now.remove(namespace);
                }
                gone
            }
        }
    }
}

#[cfg(test)]
mod tests;
