//! YAML in and out, in the dialect of Kubernetes' tools.
//!
//! Reading follows kubectl: YAML 1.1 scalars, duplicate keys refused, merge keys and aliases expanded. Nesting beyond
//! [`MAX_DEPTH`] and alias bombs are refused while parsing, before a value is built, so that no later walk over a value
//! can overflow the stack. The parser itself recurses with large frames, so it runs on a stack of its own.
//!
//! Writing follows Go's encoder, because users compare our output with istioctl's and kubectl's by eye and by diff.

mod emit;
mod plain;

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, MessageFormatter, Options, UserMessageFormatter};

pub use emit::to_string;

/// Deepest nesting of a document. The deepest published CRD schemas stay below half of it.
pub const MAX_DEPTH: usize = 100;

/// An unoptimized build needs about 40 KiB a level.
const STACK_BYTES: usize = 16 << 20;

/// Why a text is not YAML, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Line of the text, from 1.
    pub line: usize,
    /// What the parser says; control characters of the text are escaped.
    pub message: String,
}

/// Parses one YAML document.
///
/// # Errors
/// If the text is not YAML, exceeds the limits, or holds more than one document.
pub fn from_str<T: DeserializeOwned + Send>(text: &str) -> Result<T, SyntaxError> {
    let parse = || {
        serde_saphyr::from_str_with_options(text, options())
            .map_err(|error| SyntaxError::new(&error))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("yaml".into())
            .stack_size(STACK_BYTES);
        let spawned = thread.spawn_scoped(scope, parse);
        match spawned.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => Err(SyntaxError {
                line: 1,
                message: format!("no thread to parse with: {error}"),
            }),
        }
    })
}

impl SyntaxError {
    fn new(error: &Error) -> Self {
        let message = UserMessageFormatter.format_message(error.without_snippet());
        let line = error
            .location()
            .map_or(1, |at| usize::try_from(at.line()).unwrap_or(1))
            .max(1);
        Self {
            line,
            message: without_control_characters(&message),
        }
    }
}

fn without_control_characters(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn options() -> Options {
    serde_saphyr::options! {
        with_snippet: false,
        legacy_octal_numbers: true, // `defaultMode: 0644`
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
        },
    }
}

#[cfg(test)]
mod tests;
