//! Matchers, as routes, policies and TLS contexts use them (Envoy `type.matcher.v3`).
//!
//! A matcher judges bytes as they came, never a text made of them, and says itself what it means: whoever holds one finds
//! the value and asks. What can be built can be executed.

mod fraction; // shares of all requests
mod header; //   headers and query parameters
mod regex; //    regular expressions
mod string; //   texts
mod template; // paths in which parts are left open
mod substitution; // what matches a regular expression, replaced

pub use fraction::{Fraction, FractionOf};
pub use header::{HeaderMatch, HeaderValueMatch, QueryMatch};
pub use regex::{InvalidRegex, Regex};
pub use string::{StringMatch, StringMatcher};
pub use substitution::{InvalidSubstitution, Substitution};
pub use template::{InvalidTemplate, PathTemplate};
