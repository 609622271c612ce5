//! The caBundle of our own webhook configuration: what the API server verifies us with.
//!
//! The configuration is installed without it, because only a running control plane knows its roots. Whoever edits it away
//! (a GitOps tool, a person) gets it back at once. Nothing else of the configuration is touched, and no other one.
//!
//! When the roots change, the old ones stay beside the new ones for a while, and as long as our certificate needs them: until
//! all replicas have a certificate of the new ones in service, so that no review fails in between.

use std::sync::Arc;

use futures_util::StreamExt;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use mesh_api::k8s::{ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration};
use mesh_runtime::{readiness::Condition, shutdown::Shutdown};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Duration, Instant},
};

use super::{certificate::Serving, roots::Roots, trust};

/// Under which our changes stand in `managedFields`.
const MANAGER: &str = "mesh-injector";
/// How long the old roots stay beside the new ones, which is more than enough for the other replicas to renew.
pub const GRACE: Duration = Duration::from_secs(30);
/// Pause after a patch that was refused.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps the configuration `name` up to date until the end; `first` is met when it first is, or does not exist.
pub async fn run(
    client: Client,
    name: String,
    roots: Roots,
    (serving, grace): (Arc<Serving>, Duration),
    first: Condition,
    shutdown: Shutdown,
) {
    let registration = Registration {
        api: Api::all(client),
        name,
        serving,
        grace,
    };
    tokio::select! {
        () = registration.keep(roots, first) => {}
        () = shutdown.begun() => {}
    }
}

struct Registration {
    api: Api<MutatingWebhookConfiguration>,
    name: String,
    serving: Arc<Serving>,
    grace: Duration,
}

/// What the API server should trust, and whether what it trusted before has to stay for now.
struct Wanted {
    roots: Arc<str>,
    and_before: bool,
}

/// The configuration as it stands; `Unknown` until the first list.
#[derive(Clone)]
enum Standing {
    Unknown,
    Absent,
    Present(Arc<MutatingWebhookConfiguration>),
}

impl Registration {
    async fn keep(&self, mut roots: Roots, first: Condition) {
        let (seen, mut standing) = watch::channel(Standing::Unknown);
        let mut certificates = self.serving.changes();
        let repair = async {
            let mut first = Some(first);
            // The roots of before, and until when they stay.
            let (mut known, mut until) = (None, None::<Instant>);
            loop {
                let now = standing.borrow_and_update().clone();
                self.note(&now);
                let current = roots.borrow_and_update().clone();
                if known.is_some() && known != current {
                    until = Some(Instant::now() + self.grace);
                }
                known.clone_from(&current);
                until = until.filter(|until| *until > Instant::now());
                let and_before = until.is_some();
                let wanted = current.map(|roots| Wanted { roots, and_before });
                let pause = match self.repair(&now, wanted.as_ref()) {
                    None => None,
                    Some(patch) => self.apply(patch, &mut first).await.err(),
                };
                if pause.is_none()
                    && self.is_settled(&now, wanted.as_ref())
                    && let Some(condition) = first.take()
                {
                    condition.met();
                }
                tokio::select! {
                    changed = standing.changed() => if changed.is_err() { return },
                    changed = roots.changed() => if changed.is_err() { return },
                    changed = certificates.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => {}
                    () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
                }
            }
        };
        tokio::join!(self.follow(seen), repair);
    }

    async fn follow(&self, seen: watch::Sender<Standing>) {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut events = watcher(self.api.clone(), config).default_backoff().boxed();
        let mut listed = None;
        while let Some(event) = events.next().await {
            let now = match event {
                Ok(watcher::Event::Init) => {
                    listed = None;
                    continue;
                }
                Ok(watcher::Event::InitApply(object)) => {
                    listed = Some(object);
                    continue;
                }
                Ok(watcher::Event::InitDone) => match listed.take() {
                    Some(object) => Standing::Present(Arc::new(object)),
                    None => self.absent(),
                },
                Ok(watcher::Event::Apply(object)) => Standing::Present(Arc::new(object)),
                Ok(watcher::Event::Delete(_)) => self.absent(),
                Err(error) => {
                    tracing::warn!(name = self.name, %error, "the webhook configuration cannot be watched");
                    continue;
                }
            };
            seen.send_replace(now);
        }
    }

    fn absent(&self) -> Standing {
        tracing::warn!(
            name = self.name,
            "there is no such webhook configuration: no pod is injected by it"
        );
        Standing::Absent
    }

    fn is_settled(&self, standing: &Standing, wanted: Option<&Wanted>) -> bool {
        match standing {
            Standing::Unknown => false,
            Standing::Absent => true,
            Standing::Present(_) => wanted.is_some() && self.repair(standing, wanted).is_none(),
        }
    }

    fn repair(&self, standing: &Standing, wanted: Option<&Wanted>) -> Option<Value> {
        let Standing::Present(configuration) = standing else {
            return None;
        };
        let wanted = wanted?;
        repair(configuration, |before| self.bundle(wanted, before))
    }

    /// What an entry that trusts `before` should trust.
    fn bundle(&self, wanted: &Wanted, before: &str) -> String {
        let Wanted { roots, and_before } = wanted;
        let needed = !self.serving.is_trusted_by(roots) && self.serving.is_trusted_by(before);
        match *and_before || needed {
            true => trust::union(roots, before),
            false => (**roots).to_owned(),
        }
    }

    /// Tells who puts certificates into service what they have to be trusted by.
    fn note(&self, standing: &Standing) {
        let bundles = match standing {
            Standing::Unknown | Standing::Absent => Vec::new(),
            Standing::Present(configuration) => {
                let entries = configuration.webhooks.iter().flatten();
                entries
                    .map(|entry| text(&entry.client_config.ca_bundle))
                    .collect()
            }
        };
        self.serving.note_bundles(&self.name, bundles);
    }

    /// Applies `patch`, or says how long to wait before the next attempt.
    async fn apply(&self, patch: Value, first: &mut Option<Condition>) -> Result<(), Duration> {
        let params = PatchParams {
            field_manager: Some(MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Strategic(patch);
        let applied = self.api.patch(&self.name, &params, &patch).await;
        match applied {
            Ok(_) => {
                self.serving.metrics().registrations.increment();
                tracing::info!(
                    name = self.name,
                    "the caBundle of the webhook configuration is set"
                );
                Ok(())
            }
            // Somebody was faster; the watch tells what they wrote.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => {
                tracing::warn!(name = self.name, %error, "the caBundle cannot be set");
                if let Some(condition) = first {
                    condition.explain(format!(
                        "the caBundle of {} cannot be set: {error}",
                        self.name
                    ));
                }
                Err(PAUSE)
            }
        }
    }
}

/// A strategic merge patch that gives every entry the bundle that `wanted` says for the one that it has; `None` if each has
/// it. It holds the version that it was made for, so that an entry that has just been removed does not come back.
fn repair(
    configuration: &MutatingWebhookConfiguration,
    wanted: impl Fn(&str) -> String,
) -> Option<Value> {
    let webhooks = configuration.webhooks.iter().flatten();
    let wrong = webhooks.filter_map(|webhook| {
        let before = &webhook.client_config.ca_bundle;
        let bundle = ByteString(wanted(&text(before)).into_bytes());
        (before.as_ref() != Some(&bundle)).then_some((webhook, bundle))
    });
    let entries: Vec<_> = wrong
        .map(
            |(webhook, bundle)| json!({"name": webhook.name, "clientConfig": {"caBundle": bundle}}),
        )
        .collect();
    let version = &configuration.metadata.resource_version;
    (!entries.is_empty())
        .then(|| json!({"metadata": {"resourceVersion": version}, "webhooks": entries}))
}

fn text(bundle: &Option<ByteString>) -> String {
    let bytes = bundle.as_ref().map(|bundle| bundle.0.as_slice());
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(bundles: &[Option<&str>]) -> MutatingWebhookConfiguration {
        let webhooks: Vec<_> = bundles
            .iter()
            .enumerate()
            .map(|(index, bundle)| {
                let bundle = bundle.map(|text| ByteString(text.as_bytes().to_vec()));
                json!({"name": format!("w{index}"), "clientConfig": {"caBundle": bundle},
                    "sideEffects": "None", "admissionReviewVersions": ["v1"]})
            })
            .collect();
        serde_json::from_value(json!({"metadata": {"resourceVersion": "7"}, "webhooks": webhooks}))
            .expect("a configuration")
    }

    #[test]
    fn entries_without_the_bundle_get_it() {
        let patch = repair(&configuration(&[Some("new"), None, Some("old")]), |_| {
            "new".into()
        });
        let patch = patch.expect("a patch");
        let names: Vec<_> = patch["webhooks"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|entry| entry["name"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(names, ["w1", "w2"]);
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch["webhooks"][0]["clientConfig"]["caBundle"], "bmV3");
    }

    #[test]
    fn what_is_right_stays() {
        assert_eq!(
            repair(&configuration(&[Some("new"); 3]), |_| "new".into()),
            None
        );
        assert_eq!(repair(&configuration(&[]), |_| "new".into()), None);
    }
}
