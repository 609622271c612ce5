//! Go's text templates, as far as injection templates use them.
//!
//! The language is whole but for methods and custom delimiters: actions, pipelines, variables, `if`, `with`, `range`,
//! `break`, `continue`, `define`, `template`, `block`, comments, trimming. Functions are those of Go, the pure ones of the
//! sprig library, and Istio's own; a name that is none of these is an error when the template is read.
//!
//! Templates come from the owner of the cluster, but what they read comes from whoever creates a pod. So a run sees nothing
//! but its data, is bounded in steps, bytes and depth ([`Budget`]), and ends in text or in an [`Error`], never in a panic.
//! Knows nothing of pods: how objects look to a template is said by the [`Shape`] of their maps.

mod budget; // what a run may use
mod exec; // a program with data becomes text
mod functions; // one table of them
mod lex; // text becomes tokens
mod node; // what a program is made of
mod parse; // tokens become a program
mod print; // values as Go prints them
mod shape; // objects under Go's field names
mod value; // what templates compute with

use std::fmt;

pub(crate) use budget::Budget;
pub(crate) use node::Program;
pub(crate) use shape::{Shape, Struct, Type};
pub(crate) use value::Value;

/// Why a template cannot be read or run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    /// Line of the template, from 1.
    pub(crate) line: usize,
    /// What is wrong there.
    pub(crate) message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Text from a template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Output {
    /// The text.
    pub(crate) text: String,
    /// Line of the first action that printed `<no value>`: most often a misspelt field.
    pub(crate) no_value: Option<usize>,
}

#[cfg(test)]
mod tests;
