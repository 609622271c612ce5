//! What one file says.

use super::super::{
    Effect, Problem, Stored,
    reading::{Place, Reading as ObjectReading},
};
use mesh_api::manifest::{self, Invalid, Parsed};

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
        let place = Place {
            name: file.to_owned(),
            line: Some(line),
        };
        let read = ObjectReading::of(parsed.object, parsed.unknown, &place);
        self.objects
            .extend(read.object.map(|object| (line, object)));
        self.problems.extend(read.problems);
    }
}

fn refused(file: &str, invalid: &Invalid) -> Problem {
    Problem {
        place: file.to_owned(),
        line: Some(invalid.place.line),
        reason: invalid.reason.to_string(),
        effect: Effect::LastGoodStateKept,
        hint: invalid.hint().map(Into::into),
    }
}
