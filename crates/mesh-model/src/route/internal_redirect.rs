//! Redirects that are followed here instead of by the client.

/// Which redirects of a server are followed here (Envoy `InternalRedirectPolicy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalRedirects {
    /// How many are followed for one request; Envoy's default is 1.
    pub most: u32,
    /// Statuses that are followed, of 301, 302, 303, 307 and 308; Envoy's default is 302.
    pub statuses: Vec<u16>,
    /// From `http` to `https` and back, too.
    pub allow_cross_scheme: bool,
    /// Headers of the response that go on to the next server, lower case.
    pub headers_to_copy: Vec<String>,
    /// All of these must agree.
    pub predicates: Vec<RedirectPredicate>,
}

/// Says whether a redirect to a route may be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectPredicate {
    /// Only to routes of these names.
    AllowListedRoutes(Vec<String>),
    /// Never twice to the same route.
    PreviousRoutes,
    /// Never from `http` to `https`.
    SafeCrossScheme,
}
