//! Which requests a route takes.

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMatch {
    /// The path, without its query.
    pub path: PathMatch,
    /// Letters match in either case.
    pub ignore_case: bool,
}

impl RouteMatch {
    /// Requests of such paths, whatever else they carry.
    pub fn new(path: PathMatch) -> Self {
        Self {
            path,
            ignore_case: false,
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
}
