//! What one file says.

use super::super::{Effect, InvalidMeshConfig, Problem, Stored, Use};
use mesh_api::manifest::{self, Invalid, Parsed};
use std::error::Error;

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Objects that the mesh reads, with their lines.
    pub(super) objects: Vec<(usize, Stored)>,
    /// What is not understood, or not executed.
    pub(super) problems: Vec<Problem>,
}

impl Reading {
    /// Reads `text`, which stands in `file`.
    pub(super) fn of(file: &str, text: &str) -> Self {
        let mut reading = Self::default();
        for each in manifest::parse_each(text) {
            match each {
                Ok(parsed) => reading.add(file, parsed),
                Err(invalid) => reading.problems.push(refused(file, &invalid)),
            }
        }
        reading
    }

    /// Whether something was refused.
    pub(super) fn is_bad(&self) -> bool {
        self.problems
            .iter()
            .any(|p| p.effect == Effect::LastGoodStateKept)
    }

    fn add(&mut self, file: &str, parsed: Parsed) {
        let line = parsed.place.line;
        let kind = parsed.object.kind().to_owned();
        let name = parsed.object.name().to_owned();
        let problem = |effect, reason| Problem {
            file: file.to_owned(),
            line: Some(line),
            reason,
            effect,
            hint: None,
        };
        match Use::of(parsed.object) {
            Ok(Use::Read { .. }) if name.is_empty() => {
                let reason = format!("this {kind} has no metadata.name");
                self.problems.push(problem(Effect::ObjectIgnored, reason));
            }
            Ok(Use::Read { object, ignored }) => {
                let ignored = ignored
                    .into_iter()
                    .map(|field| format!("data.mesh: {field}"));
                for field in parsed.unknown.into_iter().chain(ignored) {
                    let reason = format!("{kind} {name}: {field} is not known to this version");
                    self.problems.push(problem(Effect::FieldIgnored, reason));
                }
                self.objects.push((line, object));
            }
            Ok(Use::NotYet) => {
                let reason = format!("{kind} {name}: this version does not execute this kind");
                self.problems.push(problem(Effect::ObjectIgnored, reason));
            }
            Ok(Use::None) => {}
            Err(invalid) => {
                let reason = chain(&invalid);
                self.problems
                    .push(problem(Effect::LastGoodStateKept, reason));
            }
        }
    }
}

fn refused(file: &str, invalid: &Invalid) -> Problem {
    Problem {
        file: file.to_owned(),
        line: Some(invalid.place.line),
        reason: invalid.reason.to_string(),
        effect: Effect::LastGoodStateKept,
        hint: invalid.hint().map(Into::into),
    }
}

/// The error with its cause.
fn chain(error: &InvalidMeshConfig) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
