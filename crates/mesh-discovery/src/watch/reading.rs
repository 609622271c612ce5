//! What one object says, for any source: what is stored of it, and what of it is not understood.

use super::{Effect, InvalidMeshConfig, Problem, Stored, Use};
use mesh_api::manifest::Object;
use std::error::Error;

/// What one object says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// What is stored of it; nothing if the mesh has no use for it.
    pub(super) object: Option<Stored>,
    /// What is not understood, or not executed.
    pub(super) problems: Vec<Problem>,
}

impl Reading {
    /// Reads an object that stands at `place`. `unknown` are the fields that its type does not know.
    pub(super) fn of(object: Object, unknown: Vec<String>, place: &Place) -> Self {
        let (kind, name) = (object.kind().to_owned(), object.name().to_owned());
        let mut problems = Vec::new();
        let mut problem = |effect, reason| problems.push(place.problem(effect, reason));
        let object = match Use::of(object) {
            Ok(Use::Read { .. }) if name.is_empty() => {
                let reason = format!("this {kind} has no metadata.name");
                problem(Effect::ObjectIgnored, reason);
                None
            }
            Ok(Use::Read { object, ignored }) => {
                let unknown = unknown
                    .into_iter()
                    .map(|field| format!("{field} is not known to this version"));
                for reason in unknown.chain(ignored) {
                    problem(Effect::FieldIgnored, format!("{kind} {name}: {reason}"));
                }
                Some(object)
            }
            Ok(Use::NotYet) => {
                problem(Effect::ObjectIgnored, not_executed(&kind, &name));
                None
            }
            Ok(Use::None) => None,
            Err(invalid) => {
                problem(Effect::LastGoodStateKept, chain(&invalid));
                None
            }
        };
        Self { object, problems }
    }

    /// Whether it was refused, so that what it said before stands.
    pub(super) fn is_bad(&self) -> bool {
        self.problems
            .iter()
            .any(|p| p.effect == Effect::LastGoodStateKept)
    }
}

/// Where an object stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// See [`Problem::place`].
    pub(super) name: String,
    /// See [`Problem::line`].
    pub(super) line: Option<usize>,
}

impl Place {
    /// A problem that stands here.
    pub(super) fn problem(&self, effect: Effect, reason: String) -> Problem {
        Problem {
            place: self.name.clone(),
            line: self.line,
            reason,
            effect,
            hint: None,
        }
    }
}

/// Of a kind that the mesh should read, but this version does not.
pub(super) fn not_executed(kind: &str, name: &str) -> String {
    format!("{kind} {name}: this version does not execute this kind")
}

/// The error with its cause.
fn chain(error: &InvalidMeshConfig) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
