//! What a source has been given and does not understand.

use serde::Serialize;
use std::fmt;

/// Something that a source has been given and does not understand, or does not execute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The file, relative to the folder.
    pub file: String,
    /// The line, from 1, as closely as it is known.
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
    /// What the file said before stands.
    LastGoodStateKept,
    /// The object has no effect, the rest of the file has.
    ObjectIgnored,
    /// The field has no effect, the rest of the object has.
    FieldIgnored,
}

impl Effect {
    fn as_str(self) -> &'static str {
        match self {
            Self::LastGoodStateKept => "what the file said before stands",
            Self::ObjectIgnored => "the object is ignored",
            Self::FieldIgnored => "the field is ignored",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
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
