//! How a message is taken apart: the place one stands at, and what was found wrong there.
//!
//! Every decoder takes the fields that it knows out of the message (`std::mem::take`) and hands the rest to
//! [`At::finish`], which refuses whatever else is set unless the table of `ignored` names it. A decoder returns `None`
//! once it has reported an error, and goes on with its other fields first, so that one answer lists all errors.

mod any; // typed configurations
mod ignored; // the one table of what may be left out
mod leftover; // fields that nobody took
mod place; // where in the message
mod scalar; // durations, booleans, percentages
mod structure; // messages written as `Struct`
mod unknown; // fields that nobody knows

pub(crate) use any::{Extension, Written, unpack};
pub(crate) use place::At;
pub(crate) use scalar::{Wrapped, duration, percent, port, positive, variant, wire_duration};
pub(crate) use structure::Fields;

use crate::resource::Decoded;
use prost::{Message, Name};
use std::{cell::RefCell, fmt};

/// Errors beyond this number are counted, not kept: a refusal travels in a gRPC status.
const MOST_ERRORS: usize = 32;

/// Why a message was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// The errors found, never empty.
    pub errors: Vec<FieldError>,
    /// How many more there were.
    pub more: usize,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// One thing wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FieldError {
    /// Its place by field names, such as `filter_chains[3].filters[0].typed_config.stat_prefix`; empty: the whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.what),
            path => write!(f, "{path}: {}", self.what),
        }
    }
}

/// A field that was set and has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its place by field names.
    pub path: String,
    /// Why it is safe to leave out.
    pub why: &'static str,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

/// What decoding one message has found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: Vec<FieldError>,
    more: usize,
    ignored: Vec<Ignored>,
}

impl Findings {
    fn error(&mut self, path: String, what: String) {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(FieldError { path, what });
        } else {
            self.more += 1;
        }
    }
}

/// Decodes the bytes of a message of type `M` with `decode`.
pub(crate) fn decode<M, T>(
    bytes: &[u8],
    decode: impl FnOnce(M, &At<'_>) -> Option<T>,
) -> Result<Decoded<T>, Invalid>
where
    M: Message + Name + Default,
{
    let findings = RefCell::default();
    let at = At::root(&findings);
    let value = unpack::<M>(bytes, &at).and_then(|message| decode(message, &at));
    let Findings {
        mut errors,
        more,
        ignored,
    } = findings.take();
    match value {
        Some(value) if errors.is_empty() => Ok(Decoded { value, ignored }),
        _ => {
            if errors.is_empty() {
                // A decoder that gives up must say why; should one forget, the message is still refused.
                errors.push(FieldError {
                    path: String::new(),
                    what: "cannot be executed".into(),
                });
            }
            Err(Invalid { errors, more })
        }
    }
}

#[cfg(test)]
mod tests;
