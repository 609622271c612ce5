//! What the watches have reported so far.
//!
//! Says what changes by comparing contents, so that whatever is told twice changes nothing the second time.

use super::{
    super::{Delta, ObjectRef, Problem, Stored, reading::Reading},
    Topic,
    report::Report,
};
use kube::runtime::watcher;
use mesh_runtime::readiness::{Condition, Readiness};
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

/// What the watches have reported so far.
pub(super) struct Known {
    topics: BTreeMap<Topic, Told>,
    /// Held until the kinds that may be missing are known, and listed.
    custom: Option<Condition>,
    kinds_found: bool,
    kinds_failure: Option<String>,
    problems_changed: bool,
}

/// What one watch has reported.
struct Told {
    /// The first list is complete; or it is not waited for.
    listed_once: bool,
    /// Held until then.
    unlisted: Option<Condition>,
    /// Names in the list under way.
    listed: Option<BTreeSet<ObjectRef>>,
    objects: BTreeMap<ObjectRef, Reading>,
    problems_changed: bool,
    /// What went wrong last, said once.
    failure: Option<String>,
}

impl Known {
    /// Nothing, and `readiness` is held back by each of the topics, and by the kinds that may be missing.
    pub(super) fn new(topics: impl Iterator<Item = &'static str>, readiness: &Readiness) -> Self {
        let told = |topic| {
            let unlisted = readiness.condition(topic, "not listed yet");
            (Topic::from(topic), Told::new(Some(unlisted), false))
        };
        let custom = readiness.condition("custom resources", "not known yet");
        Self {
            topics: topics.map(told).collect(),
            custom: Some(custom),
            kinds_found: false,
            kinds_failure: None,
            problems_changed: false,
        }
    }

    /// Adds a kind that was missing. If it is not `executed`, nobody waits for its list.
    pub(super) fn add(&mut self, topic: Topic, executed: bool) {
        self.topics.insert(topic, Told::new(None, !executed));
    }

    /// Removes a kind that is gone, with its objects.
    pub(super) fn remove(&mut self, topic: &Topic) -> Vec<Delta> {
        let Some(mut told) = self.topics.remove(topic) else {
            return Vec::new();
        };
        told.listed = Some(BTreeSet::new());
        let gone = told.complete(topic);
        self.problems_changed |= told.problems_changed;
        gone
    }

    /// The kinds that there are have been added.
    pub(super) fn kinds_found(&mut self) {
        self.kinds_found = true;
        if self.kinds_failure.take().is_some() {
            tracing::info!("the kinds that there are can be found out again");
        }
        self.settle();
    }

    /// The kinds that there are cannot be found out.
    pub(super) fn kinds_failed(&mut self, error: &watcher::Error) {
        let reason = reason(error);
        if let Some(custom) = &self.custom {
            custom.explain(format!(
                "customresourcedefinitions cannot be listed: {reason}"
            ));
        }
        if self.kinds_failure.as_ref() != Some(&reason) {
            tracing::warn!(
                reason,
                "customresourcedefinitions cannot be watched, will try again"
            );
        }
        self.kinds_failure = Some(reason);
    }

    /// Whether every list has been complete once.
    pub(super) fn is_complete(&self) -> bool {
        self.kinds_found && self.topics.values().all(|told| told.listed_once)
    }

    /// Says how far the kinds are that may be missing.
    fn settle(&mut self) {
        let waiting = self
            .topics
            .iter()
            .filter(|(_, told)| !told.listed_once && told.unlisted.is_none());
        let waiting: Vec<_> = waiting
            .map(|(topic, told)| match &told.failure {
                Some(failure) => format!("{topic} cannot be listed: {failure}"),
                None => format!("{topic} not listed yet"),
            })
            .collect();
        match &self.custom {
            Some(custom) if !waiting.is_empty() => custom.explain(waiting.join("; ")),
            Some(_) if self.kinds_found => {
                if let Some(custom) = self.custom.take() {
                    custom.met();
                }
            }
            _ => {}
        }
    }

    /// What is not understood, in the order of the objects.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let readings = self.topics.values().flat_map(|told| told.objects.values());
        readings
            .flat_map(|reading| &reading.problems)
            .cloned()
            .collect()
    }

    /// Whether that has changed since this was last asked.
    pub(super) fn problems_changed(&mut self) -> bool {
        std::mem::take(&mut self.problems_changed)
    }

    /// Takes a report, and says what it changes.
    pub(super) fn note(&mut self, topic: &Topic, report: Report) -> Vec<Delta> {
        let Some(told) = self.topics.get_mut(topic) else {
            return Vec::new();
        };
        let deltas = match report {
            Report::Begin => told.begin(),
            Report::Seen(name, reading) => told.seen(name, *reading).into_iter().collect(),
            Report::Gone(name) => told.gone(&name).into_iter().collect(),
            Report::Complete => told.complete(topic),
            Report::Failed(error) => {
                told.failed(topic, &error);
                Vec::new()
            }
        };
        self.problems_changed |= std::mem::take(&mut told.problems_changed);
        if self.custom.is_some() {
            self.settle();
        }
        deltas
    }
}

impl Told {
    fn new(unlisted: Option<Condition>, listed_once: bool) -> Self {
        Self {
            listed_once,
            unlisted,
            listed: None,
            objects: BTreeMap::new(),
            problems_changed: false,
            failure: None,
        }
    }

    fn begin(&mut self) -> Vec<Delta> {
        self.listed = Some(BTreeSet::new());
        Vec::new()
    }

    fn seen(&mut self, name: ObjectRef, mut reading: Reading) -> Option<Delta> {
        if let Some(listed) = &mut self.listed {
            listed.insert(name.clone());
        }
        let before = self.objects.remove(&name).unwrap_or_default();
        if reading.is_bad() {
            reading.object = before.object.clone();
        }
        self.problems_changed |= before.problems != reading.problems;
        let delta = difference(before.object.as_ref(), reading.object.as_ref());
        if reading != Reading::default() {
            self.objects.insert(name, reading);
        }
        delta
    }

    fn gone(&mut self, name: &ObjectRef) -> Option<Delta> {
        let before = self.objects.remove(name)?;
        self.problems_changed |= !before.problems.is_empty();
        difference(before.object.as_ref(), None)
    }

    fn complete(&mut self, topic: &Topic) -> Vec<Delta> {
        self.listed_once = true;
        let listed = self.listed.take().unwrap_or_default();
        let unseen: Vec<_> = self
            .objects
            .keys()
            .filter(|name| !listed.contains(name))
            .cloned()
            .collect();
        if let Some(unlisted) = self.unlisted.take() {
            tracing::debug!(%topic, objects = self.objects.len(), "listed");
            unlisted.met();
        }
        if self.failure.take().is_some() {
            tracing::info!(%topic, "the watch works again");
        }
        unseen.iter().filter_map(|name| self.gone(name)).collect()
    }

    /// What is known stays, whatever the answer: a server that starts says of kinds that they are not there, and whether
    /// one is gone its definition tells.
    fn failed(&mut self, topic: &Topic, error: &watcher::Error) {
        let reason = reason(error);
        if let Some(unlisted) = &self.unlisted {
            unlisted.explain(format!("cannot be listed: {reason}"));
        }
        if self.failure.as_ref() != Some(&reason) {
            tracing::warn!(%topic, reason, "the watch has failed and will try again");
        }
        self.failure = Some(reason);
    }
}

fn difference(before: Option<&Stored>, now: Option<&Stored>) -> Option<Delta> {
    match (before, now) {
        (before, now) if before == now => None,
        (_, Some(now)) => Some(Delta::Set(now.clone())),
        (Some(before), None) => Some(Delta::Gone(before.kind(), before.name())),
        (None, None) => None,
    }
}

/// The error with its causes, each said once.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut reason = error.to_string();
    for cause in std::iter::successors(error.source(), |&e| e.source()) {
        let cause = cause.to_string();
        if !reason.contains(&cause) {
            reason = format!("{reason}: {cause}");
        }
    }
    reason
}
