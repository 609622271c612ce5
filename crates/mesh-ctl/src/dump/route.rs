//! `envoy.config.route.v3.RouteConfiguration`, as far as tables show it.

use serde::Deserialize;

use super::Shape;
use super::metadata::Metadata;

/// A route configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RouteConfiguration {
    pub(crate) name: String,
    pub(crate) virtual_hosts: Vec<VirtualHost>,
}

impl Shape for RouteConfiguration {
    const MESSAGE: &'static str = "envoy.config.route.v3.RouteConfiguration";
}

/// Routes for some host names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct VirtualHost {
    pub(crate) name: String,
    pub(crate) domains: Vec<String>,
    pub(crate) routes: Vec<Route>,
}

/// One route.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Route {
    #[serde(rename = "match")]
    pub(crate) matches: RouteMatch,
    pub(crate) route: Option<RouteAction>,
    pub(crate) metadata: Metadata,
}

impl Route {
    /// The one cluster that it forwards to; `None` if it does anything else.
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.route.as_ref()?.cluster.as_deref()
    }
}

/// Where requests are forwarded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RouteAction {
    cluster: Option<String>,
}

/// Which paths a route is for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RouteMatch {
    prefix: Option<String>,
    path: Option<String>,
    path_separated_prefix: Option<String>,
    safe_regex: Option<Regex>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Regex {
    regex: String,
}

impl RouteMatch {
    /// Whether it takes every path.
    pub(crate) fn is_all(&self) -> bool {
        self.prefix.as_deref() == Some("/")
    }

    /// As tables show it; headers are left out.
    pub(crate) fn describe(&self) -> String {
        if let Some(prefix) = &self.prefix {
            format!("{prefix}*")
        } else if let Some(prefix) = &self.path_separated_prefix {
            format!("PathPrefix:{prefix}")
        } else if let Some(path) = &self.path {
            path.clone()
        } else if let Some(Regex { regex }) = &self.safe_regex {
            format!("regex {regex}")
        } else {
            String::new()
        }
    }
}
