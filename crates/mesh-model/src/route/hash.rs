//! By what the requests of a route are kept together, where their cluster hashes (Envoy `HashPolicy`).

use std::time::Duration;

/// One of several things that make up a request's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPolicy {
    /// What is hashed.
    pub by: HashBy,
    /// Where there is a hash by now, it is final.
    pub terminal: bool,
}

/// What is hashed. What a request does not have adds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// The values of this header, or pseudo header.
    Header(String),
    /// A cookie.
    Cookie(HashCookie),
    /// The client's IP address.
    SourceIp,
    /// The first value of this query parameter.
    QueryParameter(String),
}

/// A cookie by which requests are kept together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashCookie {
    /// Its name.
    pub name: String,
    /// A client without one is given one for so long; zero: for its session; `None`: it is given none.
    pub ttl: Option<Duration>,
    /// Path of one that is given; empty: none.
    pub path: String,
    /// Further attributes of one that is given; an empty value: the name alone.
    pub attributes: Vec<(String, String)>,
}
