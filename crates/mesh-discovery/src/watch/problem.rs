//! What a source has been given and does not understand.

use serde::Serialize;
use std::{collections::HashSet, fmt, sync::Arc};
use tokio::sync::watch;

/// Something that a source has been given and does not understand, or does not execute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where it stands: the file, relative to the folder, or the object of a cluster (`Kind namespace/name`).
    #[serde(rename = "file")]
    pub place: String,
    /// The line of the file, from 1, as closely as it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
    /// What follows from it.
    pub effect: Effect,
    /// How it can be mended, where that is known.
    pub hint: Option<String>,
}

/// What follows from a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// What the file, or the object, said before stands.
    LastGoodStateKept,
    /// The object has no effect, the rest of its file has.
    ObjectIgnored,
    /// The field has no effect, the rest of the object has.
    FieldIgnored,
    /// An older object has what this one claims, too.
    Overruled,
}

impl Effect {
    /// As a label of a metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::LastGoodStateKept => "last_good_state_kept",
            Self::ObjectIgnored => "object_ignored",
            Self::FieldIgnored => "field_ignored",
            Self::Overruled => "overruled",
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::LastGoodStateKept => "what was said before stands",
            Self::ObjectIgnored => "the object is ignored",
            Self::FieldIgnored => "the field is ignored",
            Self::Overruled => "the older object counts",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {} ({})", self.reason, self.effect.as_str())?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Logs what is new, and what is no more.
pub(crate) fn log_changes<'a>(
    before: impl Iterator<Item = &'a Problem>,
    now: impl Iterator<Item = &'a Problem>,
) {
    let (before, now): (Vec<_>, Vec<_>) = (before.collect(), now.collect());
    let known: HashSet<_> = before.iter().collect();
    for problem in now.iter().filter(|p| !known.contains(p)) {
        tracing::warn!("{problem}");
    }
    let left: HashSet<_> = now.iter().collect();
    for problem in before.iter().filter(|p| !left.contains(p)) {
        tracing::info!(
            place = problem.place,
            line = problem.line,
            "mended: {}",
            problem.reason
        );
    }
}

/// Lists the problems, and logs those that are new.
pub(super) fn report(now: &[Problem], known: &watch::Sender<Arc<[Problem]>>) {
    known.send_if_modified(|known| {
        log_changes(known.iter(), now.iter());
        let changed = **known != *now;
        *known = now.into();
        changed
    });
}
