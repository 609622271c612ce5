//! Which pages of other origins may ask (Envoy `CorsPolicy`).

use crate::matcher::{Fraction, StringMatcher};

/// Who of other origins may ask for what. What is empty or not set here, the levels around it say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsPolicy {
    /// Origins that may ask; an exact `*` is all of them.
    pub allow_origins: Vec<StringMatcher>,
    /// Value of `access-control-allow-methods`.
    pub allow_methods: String,
    /// Value of `access-control-allow-headers`.
    pub allow_headers: String,
    /// Value of `access-control-expose-headers`.
    pub expose_headers: String,
    /// Value of `access-control-max-age`, in seconds.
    pub max_age: String,
    /// Credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// Share of requests for which the policy counts; `None`: all. Decided at the most specific level alone.
    pub enabled: Option<Fraction>,
    /// Share of the others for which origins are only counted; `None`: none.
    pub shadow: Option<Fraction>,
    /// Pages may ask for what is in a more private network.
    pub allow_private_network: Option<bool>,
    /// Preflights of origins that may not ask go on to the server; `None`: they do.
    pub forward_not_matching_preflights: Option<bool>,
}
