//! Where else a client is to ask.

use crate::matcher::Substitution;

/// Sends the client elsewhere (Envoy `RedirectAction`). What is not said stays as the client asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// Scheme, such as `https`.
    pub scheme: Option<String>,
    /// Host, with its port if it has one.
    pub host: Option<String>,
    /// Port, in place of the host's.
    pub port: Option<u16>,
    /// Path.
    pub path: Option<PathRedirect>,
    /// The query is taken off, unless the path that is said has one of its own.
    pub strip_query: bool,
    /// Status of the answer.
    pub status: RedirectStatus,
}

/// The path of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRedirect {
    /// This one; if it has a query, that is the query.
    Path(String),
    /// What the route matched is replaced.
    Prefix(String),
    /// What matches is replaced.
    Regex(Substitution),
}

/// Status of a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectStatus {
    /// 301.
    #[default]
    MovedPermanently,
    /// 302.
    Found,
    /// 303.
    SeeOther,
    /// 307.
    TemporaryRedirect,
    /// 308.
    PermanentRedirect,
}

impl RedirectStatus {
    /// The number.
    pub fn code(self) -> u16 {
        match self {
            Self::MovedPermanently => 301,
            Self::Found => 302,
            Self::SeeOther => 303,
            Self::TemporaryRedirect => 307,
            Self::PermanentRedirect => 308,
        }
    }
}
