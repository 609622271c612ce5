//! Which kinds of the mesh's groups there are, as their definitions come and go.
//!
//! Names of definitions are watched; the API server is then asked which versions it serves. A definition that is new is
//! not served at once, so it is asked again until every kind is there.

use super::super::{delta::is_group_of_the_mesh, patience::Watchers};
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
use mesh_api::k8s::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// First and longest pause before the API server is asked again for a kind that it does not serve yet.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

type Definition = PartialObjectMeta<CustomResourceDefinition>;

/// All kinds of the mesh's groups that there are, whenever they change. The first time also if there are none.
pub(super) fn kinds(
    client: Client,
    watchers: &Watchers,
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
        wanted: BTreeSet::new(),
        ask: None,
        told: None,
    };
    stream::unfold(asking, |mut asking| async {
        let next = asking.next().await?;
        Some((next, asking))
    })
}

/// Names of the definitions that concern the mesh.
#[derive(Default)]
struct Names {
    now: BTreeSet<String>,
    /// The list under way.
    next: Option<BTreeSet<String>>,
}

impl Names {
    /// All names, if they have changed. A list counts when it is complete.
    fn note(&mut self, event: Event<Definition>) -> Option<BTreeSet<String>> {
        match event {
            Event::Init => self.next = Some(BTreeSet::new()),
            Event::InitApply(definition) => {
                let name = name(&definition);
                self.next.get_or_insert_default().extend(name);
            }
            Event::InitDone => {
                self.now = self.next.take().unwrap_or_default();
                return Some(self.now.clone());
            }
            Event::Apply(definition) => {
                let name = name(&definition)?;
                return self.now.insert(name).then(|| self.now.clone());
            }
            Event::Delete(definition) => {
                let name = name(&definition)?;
                return self.now.remove(&name).then(|| self.now.clone());
            }
        }
        None
    }
}

/// The name, if the definition concerns the mesh: plural and group.
fn name(definition: &Definition) -> Option<String> {
    let name = definition.name_any();
    let (_, group) = name.split_once('.')?;
    is_group_of_the_mesh(group).then_some(name)
}

struct Asking {
    client: Client,
    changes: BoxStream<'static, Result<BTreeSet<String>, watcher::Error>>,
    wanted: BTreeSet<String>,
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
                        self.wanted = wanted;
                        self.ask = Some((Instant::now(), ASK_AGAIN.0));
                    }
                    Err(error) => return Some(Err(error)),
                },
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
        let kinds = match served(&self.client, &self.wanted).await {
            Ok(kinds) => kinds,
            Err(error) => {
                tracing::debug!(%error, "cannot ask which kinds are served");
                self.ask = again;
                return None;
            }
        };
        self.ask = again.filter(|_| kinds.len() < self.wanted.len());
        if self.told.as_ref() == Some(&kinds) {
            return None;
        }
        self.told = Some(kinds.clone());
        Some(kinds)
    }
}

/// Of each kind that is wanted and served, the most stable version.
async fn served(
    client: &Client,
    wanted: &BTreeSet<String>,
) -> Result<Vec<ApiResource>, kube::Error> {
    let groups = wanted.iter().filter_map(|name| name.split_once('.'));
    let groups: BTreeSet<&str> = groups.map(|(_, group)| group).collect();
    let mut kinds = Vec::new();
    for group in groups {
        match discovery::group(client, group).await {
            Ok(group) => {
                let all = group
                    .resources_by_stability()
                    .into_iter()
                    .map(|(kind, _)| kind);
                let is_wanted = |kind: &ApiResource| wanted.contains(&*super::custom::topic(kind));
                kinds.extend(all.filter(is_wanted));
            }
            // None of its definitions is served yet.
            Err(kube::Error::Discovery(_)) => {}
            Err(error) => return Err(error),
        }
    }
    kinds.sort_by_key(super::custom::topic);
    Ok(kinds)
}
