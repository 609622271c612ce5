//! Route tables (Envoy `RouteConfiguration`).

mod action; //   what a route does
mod hash; //     what keeps requests together
mod header; //   what is changed of headers
mod internal_redirect; // redirects that are followed here
mod matching; // which requests it takes
mod mirror; //   copies of requests
mod redirect; // where else a client is to ask
mod retry; //    when it tries again
mod rewrite; //  which path and host a server is asked for
mod template; // paths with variables

pub use action::{
    DirectResponse, Forward, MaxStreamDuration, RouteAction, Target, WeightedCluster,
};
pub use hash::{HashBy, HashCookie, HashPolicy};
pub use header::{AppendAction, HeaderAdd, HeaderMutations};
pub use internal_redirect::{InternalRedirects, RedirectPredicate};
pub use matching::{PathMatch, RouteMatch};
pub use mirror::Mirror;
pub use redirect::{PathRedirect, Redirect, RedirectStatus};
pub use retry::{RateLimitedBackOff, ResetFormat, ResetHeader, RetryOn, RetryPolicy};
pub use rewrite::{HostRewrite, PathRewrite, Rewrite};
pub use template::{InvalidTemplate, TemplateRewrite, UriTemplate};

use crate::{RouteName, http::Override};

/// A route configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfiguration {
    /// Its name.
    pub name: RouteName,
    /// Virtual hosts.
    pub virtual_hosts: Vec<VirtualHost>,
    /// A port in the `Host` header plays no part in matching.
    pub ignore_port_in_host_matching: bool,
    /// Largest body of a direct response, in bytes; `None`: Envoy's 4 KiB.
    pub max_direct_response_body_bytes: Option<u32>,
    /// What is changed of filters, by their names; a virtual host's go before.
    pub overrides: Vec<Override>,
    /// What is changed of headers, after a virtual host's changes.
    pub headers: HeaderMutations,
}

impl RouteConfiguration {
    /// A table of these hosts, with Envoy's defaults.
    pub fn new(name: RouteName, virtual_hosts: Vec<VirtualHost>) -> Self {
        Self {
            name,
            virtual_hosts,
            ignore_port_in_host_matching: false,
            max_direct_response_body_bytes: None,
            overrides: Vec::new(),
            headers: HeaderMutations::default(),
        }
    }
}

/// The routes of some host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualHost {
    /// Its name.
    pub name: String,
    /// Host names: exact, `*.suffix`, `prefix.*` or `*`.
    pub domains: Vec<String>,
    /// Routes; the first that matches wins.
    pub routes: Vec<Route>,
    /// `x-envoy-attempt-count` is set on requests.
    pub include_request_attempt_count: bool,
    /// `x-envoy-attempt-count` is set on responses.
    pub include_attempt_count_in_response: bool,
    /// Requests that are tried again after a timeout say so in `x-envoy-is-timeout-retry`.
    pub include_is_timeout_retry: bool,
    /// Retries of the routes that say nothing of them.
    pub retry: Option<RetryPolicy>,
    /// What is changed of filters, by their names; a route's go before.
    pub overrides: Vec<Override>,
    /// What is changed of headers, after a route's changes.
    pub headers: HeaderMutations,
}

impl VirtualHost {
    /// A host that takes `domains` and has `routes`.
    pub fn new(name: impl Into<String>, domains: Vec<String>, routes: Vec<Route>) -> Self {
        Self {
            name: name.into(),
            domains,
            routes,
            include_request_attempt_count: false,
            include_attempt_count_in_response: false,
            include_is_timeout_retry: false,
            retry: None,
            overrides: Vec::new(),
            headers: HeaderMutations::default(),
        }
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, as the access log prints it.
    pub name: String,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// What it does with them.
    pub action: RouteAction,
    /// Name of the operation in traces and in `x-envoy-decorator-operation`.
    pub operation: Option<String>,
    /// The object that it was made from, such as
    /// `/apis/networking.istio.io/v1/namespaces/test/virtual-service/nginx` (metadata `istio.config`).
    pub config: Option<String>,
    /// What is changed of filters, by their names.
    pub overrides: Vec<Override>,
    /// What is changed of headers, after a weighted cluster's changes.
    pub headers: HeaderMutations,
}

impl Route {
    /// A route without a name that does `action` with the requests of `matches`.
    pub fn new(matches: RouteMatch, action: RouteAction) -> Self {
        Self {
            name: String::new(),
            matches,
            action,
            operation: None,
            config: None,
            overrides: Vec::new(),
            headers: HeaderMutations::default(),
        }
    }
}
