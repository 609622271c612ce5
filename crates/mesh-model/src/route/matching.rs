//! Which requests a route takes.

use super::UriTemplate;
use crate::matcher::{Fraction, HeaderMatch, QueryMatch, Regex};

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMatch {
    /// The path, without its query.
    pub path: PathMatch,
    /// Letters of the path match in either case. A regular expression decides that by itself.
    pub ignore_case: bool,
    /// All of these must match. Several values of one header count as one, joined by commas.
    pub headers: Vec<HeaderMatch>,
    /// All of these must match.
    pub query: Vec<QueryMatch>,
    /// Only so many are taken; the others go to the next route that matches (Envoy `runtime_fraction`).
    pub fraction: Option<Fraction>,
}

impl RouteMatch {
    /// Requests of such paths, whatever else they carry.
    pub fn new(path: PathMatch) -> Self {
        Self {
            path,
            ignore_case: false,
            headers: Vec::new(),
            query: Vec::new(),
            fraction: None,
        }
    }
}

/// How a path is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Starts with.
    Prefix(String),
    /// Equal.
    Exact(String),
    /// Equal, or starts with it and a slash.
    SeparatedPrefix(String),
    /// All of it matches.
    Regex(Regex),
    /// All of it is like this template (Envoy `path_match_policy` with `UriTemplateMatchConfig`).
    Template(UriTemplate),
}
