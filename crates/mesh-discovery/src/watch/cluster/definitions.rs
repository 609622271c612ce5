//! Which kinds of the mesh's groups there are, as their definitions come and go.
//!
//! Names of definitions are watched, and when each was last rewritten; the API server is then asked which versions it
//! serves. A definition that is new is not served at once, so it is asked again until every kind is there; one that was
//! rewritten may serve other versions a little later, so it is asked again for a while.

use super::super::{delta::is_group_of_a_mesh, patience::Watchers};
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use kube::{
    Api, Client, ResourceExt,
    core::{ApiResource, PartialObjectMeta},
    discovery,
    runtime::watcher::{self, Event, watcher},
};
use mesh_api::{
    crd, k8s::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// First and longest pause before the API server is asked again for a kind that it does not serve yet.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The definitions that concern the mesh, by name (plural and group), each with the number of its writing.
type Definitions = BTreeMap<String, Option<i64>>;

type Definition = PartialObjectMeta<CustomResourceDefinition>;

/// All kinds of the mesh's groups that there are, whenever they change. The first time also if there are none. With
/// `doubts` the API server is asked again, as when a kind turns out not to be served.
pub(super) fn kinds(
    client: Client,
    watchers: &Watchers,
    doubts: Arc<Notify>,
) -> impl Stream<Item = Result<Vec<ApiResource>, watcher::Error>> + Send + use<> {
    let all = Api::<Definition>::all(client.clone());
    let events = watchers.patiently(watcher(all, super::kinds::config()));
    let mut names = Names::default();
    let changes = events.filter_map(move |event| {
        let changed = match event {
            Ok(event) => names.note(event).map(Ok),
            Err(error) => Some(Err(error)),
        };
        std::future::ready(changed)
    });
    let asking = Asking {
        client,
        changes: changes.boxed(),
        doubts,
        wanted: Definitions::new(),
        rewritten: false,
        ask: None,
        told: None,
    };
    stream::unfold(asking, |mut asking| async {
        let next = asking.next().await?;
        Some((next, asking))
    })
}

/// The definitions that concern the mesh.
#[derive(Default)]
struct Names {
    now: Definitions,
    /// The list under way.
    next: Option<Definitions>,
    /// Those of other groups of Istio, each said once.
    unread: BTreeSet<String>,
}

impl Names {
    /// All of them, if they have changed. A list counts when it is complete.
    fn note(&mut self, event: Event<Definition>) -> Option<Definitions> {
        match event {
            Event::Init => self.next = Some(Definitions::new()),
            Event::InitApply(definition) => {
                let named = self.named(&definition);
                self.next.get_or_insert_default().extend(named);
            }
            Event::InitDone => {
                self.now = self.next.take().unwrap_or_default();
                return Some(self.now.clone());
            }
            Event::Apply(definition) => {
                let (name, written) = self.named(&definition)?;
                let before = self.now.insert(name, written);
                return (before != Some(written)).then(|| self.now.clone());
            }
            Event::Delete(definition) => {
                let (name, _) = self.named(&definition)?;
                return self.now.remove(&name).map(|_| self.now.clone());
            }
        }
        None
    }

    /// Its entry, if the definition concerns the mesh.
    fn named(&mut self, definition: &Definition) -> Option<(String, Option<i64>)> {
        let name = definition.name_any();
        let (_, group) = name.split_once('.')?;
        if crd::GROUPS.contains(&group) {
            return Some((name, definition.metadata.generation));
        }
        if is_group_of_a_mesh(group) && self.unread.insert(name.clone()) {
            tracing::info!(definition = name, "objects of this kind are not read");
        }
        None
    }
}

struct Asking {
    client: Client,
    changes: BoxStream<'static, Result<Definitions, watcher::Error>>,
    doubts: Arc<Notify>,
    wanted: Definitions,
    /// One was written anew since the last time of quiet: what is served may still be what was before.
    rewritten: bool,
    /// When to ask next, and how long to wait after that.
    ask: Option<(Instant, Duration)>,
    told: Option<Vec<ApiResource>>,
}

impl Asking {
    async fn next(&mut self) -> Option<Result<Vec<ApiResource>, watcher::Error>> {
        loop {
            let at = self.ask.map(|(at, _)| at);
            tokio::select! {
                changed = self.changes.next() => match changed? {
                    Ok(wanted) => {
                        self.rewritten |= is_rewritten(&self.wanted, &wanted);
                        self.wanted = wanted;
                        self.ask = Some((Instant::now(), ASK_AGAIN.0));
                    }
                    Err(error) => return Some(Err(error)),
                },
                () = self.doubts.notified(), if at.is_none() => {
                    self.ask = Some((Instant::now(), ASK_AGAIN.0));
                }
                () = tokio::time::sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => {
                    if let Some(kinds) = self.ask().await {
                        return Some(Ok(kinds));
                    }
                }
            }
        }
    }

    /// The kinds, if they are not what was told before.
    async fn ask(&mut self) -> Option<Vec<ApiResource>> {
        let pause = self.ask.map_or(ASK_AGAIN.0, |(_, pause)| pause);
        let again = Some((Instant::now() + pause, (2 * pause).min(ASK_AGAIN.1)));
        let mut kinds = match served(&self.client, &self.wanted).await {
            Ok(kinds) => kinds,
            Err(error) => {
                tracing::debug!(%error, "cannot ask which kinds are served");
                self.ask = again;
                return None;
            }
        };
        self.rewritten &= pause < ASK_AGAIN.1;
        self.ask = again.filter(|_| self.rewritten || kinds.len() < self.wanted.len());
        self.keep_defined(&mut kinds);
        if self.told.as_ref() == Some(&kinds) {
            return None;
        }
        self.told = Some(kinds.clone());
        Some(kinds)
    }
}

impl Asking {
    /// A kind that is defined and, for the moment, not served is not gone.
    fn keep_defined(&self, kinds: &mut Vec<ApiResource>) {
        use super::custom::topic;
        let served: BTreeSet<_> = kinds.iter().map(topic).collect();
        let told = self.told.iter().flatten();
        let kept = told.filter(|kind| {
            let topic = topic(kind);
            !served.contains(&topic) && self.wanted.contains_key(&*topic)
        });
        kinds.extend(kept.cloned());
        kinds.sort_by_key(topic);
    }
}

/// Whether a definition that was there is there with other contents.
fn is_rewritten(before: &Definitions, now: &Definitions) -> bool {
    let mut kept = now
        .iter()
        .filter_map(|(name, written)| Some((before.get(name)?, written)));
    kept.any(|(before, now)| before != now)
}

/// Of each kind that is wanted and served, the most stable version.
async fn served(client: &Client, wanted: &Definitions) -> Result<Vec<ApiResource>, kube::Error> {
    let groups = wanted.keys().filter_map(|name| name.split_once('.'));
    let groups: BTreeSet<&str> = groups.map(|(_, group)| group).collect();
    let mut kinds = Vec::new();
    for group in groups {
        match discovery::group(client, group).await {
            Ok(group) => {
                let all = group
                    .resources_by_stability()
                    .into_iter()
                    .map(|(kind, _)| kind);
                let is_wanted =
                    |kind: &ApiResource| wanted.contains_key(&*super::custom::topic(kind));
                kinds.extend(all.filter(is_wanted));
            }
            // None of its definitions is served yet.
            Err(kube::Error::Discovery(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(kinds)
}
