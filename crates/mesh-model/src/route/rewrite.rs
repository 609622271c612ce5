//! Which path and host a server is asked for.

use super::TemplateRewrite;
use crate::matcher::Substitution;

/// What of a request's target is changed on its way to the server. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Its path; the query stays.
    pub path: Option<PathRewrite>,
    /// Its host.
    pub host: Option<HostRewrite>,
    /// The host that was asked for is added to `x-forwarded-host`, if it is changed.
    pub append_x_forwarded_host: bool,
}

/// How a path is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// What the route matched is replaced; where it matches by a regular expression or a template: all of the path.
    Prefix(String),
    /// What matches is replaced.
    Regex(Substitution),
    /// The template's variables are put in (Envoy `path_rewrite_policy` with `UriTemplateRewriteConfig`).
    Template(TemplateRewrite),
}

/// How a host is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRewrite {
    /// To this one.
    Literal(String),
    /// To the first value of this header, lower case, if it is there.
    Header(String),
    /// To the path without its query, with all that matches replaced.
    PathRegex(Substitution),
}
