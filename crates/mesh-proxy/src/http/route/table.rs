//! A route table, compiled.

use super::{
    hash::HashPolicies, host::HostIndex, internal_redirect::InternalRedirects, matches::Matches,
    mirror::Mirror, overrides::Overrides, redirect::Redirect, rewrite::Rewrite, target::Target,
};
use crate::{
    http::{
        matching::{HeaderMatcher, RequestHead},
        mutations::Mutations,
    },
    telemetry::substitution::InvalidFormat,
    upstream::Clusters,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use mesh_model::{
    http::Override,
    route::{self, MaxStreamDuration, RetryPolicy, RouteAction, RouteConfiguration},
};
use std::{sync::Arc, time::Duration};

/// Envoy's route timeout where none is set.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// A compiled [`RouteConfiguration`].
#[derive(Debug)]
pub struct RouteTable {
    hosts: HostIndex,
    virtual_hosts: Vec<VirtualHost>,
}

/// The routes of some host names.
#[derive(Debug)]
pub struct VirtualHost {
    /// Its name.
    pub name: Arc<str>,
    /// `x-envoy-attempt-count` is set on requests.
    pub include_attempt_count: bool,
    /// `x-envoy-attempt-count` is set on responses.
    pub tells_attempts: bool,
    /// Tries after the first say whether the one before took too long.
    pub tells_timeouts: bool,
    routes: Vec<Route>,
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Its name, as the access log prints it.
    pub name: Arc<str>,
    /// What it does.
    pub action: Action,
    /// Value of `x-envoy-decorator-operation`.
    pub operation: Option<HeaderValue>,
    /// What it, its host and its table change of filters.
    pub(crate) overrides: Option<Arc<Overrides>>,
    mutations: Mutations,
    matches: Matches,
}

/// What a route does.
#[derive(Debug)]
pub enum Action {
    /// Sends the request on.
    Forward(Box<Forward>),
    /// Answers by itself.
    Direct(Box<DirectResponse>),
    /// Sends the client elsewhere.
    Redirect(Box<Redirect>),
}

/// Sends requests to a cluster.
#[derive(Debug)]
pub struct Forward {
    /// Where to.
    pub(crate) target: Target,
    /// What the server is asked for instead; `None`: what the client asked for.
    pub(crate) rewrite: Option<Box<Rewrite>>,
    /// Who gets copies.
    pub(crate) mirrors: Box<[Mirror]>,
    /// How long the whole request may take; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Whether `grpc-timeout` counts, and its cap (zero: none).
    pub max_grpc_timeout: Option<Duration>,
    /// Limits on the stream's life.
    pub max_stream_duration: Option<MaxStreamDuration>,
    /// `None`: the stream may be idle as long as the connection manager lets it; zero: for ever.
    pub idle_timeout: Option<Duration>,
    /// Retries.
    pub retry: Option<RetryPolicy>,
    /// What keeps requests together, where the cluster hashes.
    pub(crate) hash: HashPolicies,
    /// One of these must match for a request to be tried again, if there are any.
    pub(crate) retriable_requests: Box<[HeaderMatcher]>,
    /// Redirects that are followed here.
    pub(crate) internal_redirects: Option<Box<InternalRedirects>>,
}

/// Answers without an upstream.
#[derive(Clone, Debug)]
pub struct DirectResponse {
    /// Status.
    pub status: StatusCode,
    /// Body.
    pub body: Bytes,
}

impl RouteTable {
    /// Compiles `model`; its clusters are named by slot, and may come later.
    ///
    /// # Errors
    /// If the value of a header has an operator that is not understood.
    pub fn compile(model: &RouteConfiguration, clusters: &Clusters) -> Result<Self, InvalidFormat> {
        let domains = model.virtual_hosts.iter().zip(0..);
        let domains = domains.flat_map(|(v, i)| v.domains.iter().map(move |d| (d.as_str(), i)));
        let virtual_host = |v: &route::VirtualHost| {
            Ok(VirtualHost {
                name: v.name.as_str().into(),
                include_attempt_count: v.include_request_attempt_count,
                tells_attempts: v.include_attempt_count_in_response,
                tells_timeouts: v.include_is_timeout_retry,
                routes: compile_routes(model, v, clusters)?,
            })
        };
        Ok(Self {
            hosts: HostIndex::new(domains, model.ignore_port_in_host_matching),
            virtual_hosts: (model.virtual_hosts.iter())
                .map(virtual_host)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Number of the virtual host and of its first route that takes a request with this head.
    pub(crate) fn find(&self, head: &RequestHead<'_>) -> Option<(u32, u32)> {
        let index = self.hosts.find(head.host)?;
        let routes = &self.virtual_hosts[index as usize].routes;
        let route = routes.iter().position(|r| r.matches.matches(head))?;
        Some((index, route as u32))
    }

    /// The virtual host of that number.
    pub fn virtual_host(&self, index: u32) -> &VirtualHost {
        &self.virtual_hosts[index as usize]
    }

    /// The route that [`Self::find`] found.
    pub fn route(&self, (host, route): (u32, u32)) -> &Route {
        &self.virtual_hosts[host as usize].routes[route as usize]
    }
}

fn compile_routes(
    table: &RouteConfiguration,
    host: &route::VirtualHost,
    clusters: &Clusters,
) -> Result<Vec<Route>, InvalidFormat> {
    let outer = Outer::new(table, host)?;
    let routes = host.routes.iter();
    routes
        .map(|route| Route::compile(route, &outer, clusters))
        .collect()
}

/// What the levels around a route give to it.
struct Outer<'a> {
    overrides: [&'a [Override]; 2],
    retry: Option<&'a RetryPolicy>,
    shared: Option<Arc<Overrides>>,
    mutations: Mutations,
}

impl<'a> Outer<'a> {
    fn new(
        table: &'a RouteConfiguration,
        host: &'a route::VirtualHost,
    ) -> Result<Self, InvalidFormat> {
        let overrides = [&*host.overrides, &*table.overrides];
        let of_table = Mutations::within(&table.headers, &Mutations::default())?;
        Ok(Self {
            overrides,
            retry: host.retry.as_ref(),
            shared: Overrides::compile(&overrides),
            mutations: Mutations::within(&host.headers, &of_table)?,
        })
    }

    fn overrides(&self, own: &[Override]) -> Option<Arc<Overrides>> {
        let [host, table] = self.overrides;
        match own.is_empty() {
            true => self.shared.clone(),
            false => Overrides::compile(&[own, host, table]),
        }
    }
}

impl Route {
    /// Its name, as the access log prints it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long its streams may be idle, if it says so; zero: for ever.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        match &self.action {
            Action::Forward(forward) => forward.idle_timeout,
            Action::Direct(_) | Action::Redirect(_) => None,
        }
    }

    /// What it changes of the headers of a request that drew `random`, and of its response.
    pub(crate) fn mutations(&self, random: u64) -> &Mutations {
        let target = match &self.action {
            Action::Forward(forward) => forward.target.mutations(random),
            Action::Direct(_) | Action::Redirect(_) => None,
        };
        target.unwrap_or(&self.mutations)
    }

    fn compile(
        model: &route::Route,
        outer: &Outer<'_>,
        clusters: &Clusters,
    ) -> Result<Self, InvalidFormat> {
        let operation = model.operation.as_deref();
        let mutations = Mutations::within(&model.headers, &outer.mutations)?;
        Ok(Self {
            name: model.name.as_str().into(),
            action: Action::compile(model, outer.retry, &mutations, clusters)?,
            operation: operation.and_then(|o| HeaderValue::from_str(o).ok()),
            overrides: outer.overrides(&model.overrides),
            mutations,
            matches: Matches::new(&model.matches),
        })
    }
}

impl Action {
    fn compile(
        route: &route::Route,
        outer_retry: Option<&RetryPolicy>,
        mutations: &Mutations,
        clusters: &Clusters,
    ) -> Result<Self, InvalidFormat> {
        let path = &route.matches.path;
        match &route.action {
            RouteAction::Forward(forward) => {
                let timeout = forward.timeout.unwrap_or(DEFAULT_TIMEOUT);
                let retry = forward.retry.as_ref().or(outer_retry);
                let asked = retry.map_or(&[][..], |retry| &retry.retriable_request_headers);
                Ok(Self::Forward(Box::new(Forward {
                    target: Target::compile(&forward.target, mutations, clusters)?,
                    rewrite: Rewrite::compile(&forward.rewrite, path),
                    mirrors: (forward.mirrors.iter())
                        .map(|mirror| Mirror::compile(mirror, clusters))
                        .collect(),
                    timeout: (!timeout.is_zero()).then_some(timeout),
                    max_grpc_timeout: forward.max_grpc_timeout,
                    max_stream_duration: forward.max_stream_duration,
                    hash: HashPolicies::compile(&forward.hash),
                    idle_timeout: forward.idle_timeout,
                    retry: retry.cloned(),
                    retriable_requests: asked.iter().map(HeaderMatcher::new).collect(),
                    internal_redirects: (forward.internal_redirects.as_ref())
                        .map(|policy| Box::new(InternalRedirects::compile(policy))),
                })))
            }
            RouteAction::Redirect(redirect) => {
                let redirect = Redirect::compile(redirect, path);
                Ok(Self::Redirect(Box::new(redirect)))
            }
            RouteAction::DirectResponse(direct) => Ok(Self::Direct(Box::new(DirectResponse {
                status: StatusCode::from_u16(direct.status)
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                body: Bytes::copy_from_slice(&direct.body),
            }))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::http::matching::tests::{head, parts};
    use mesh_model::route::{PathMatch, RouteMatch};

    /// A route to `cluster` for all paths with that prefix, without a timeout.
    pub(crate) fn forward(prefix: &str, cluster: &str) -> route::Route {
        let all = RouteMatch::new(PathMatch::Prefix(prefix.to_owned()));
        let forward = route::Forward {
            timeout: Some(Duration::ZERO),
            ..route::Forward::to(cluster.into())
        };
        route::Route {
            name: format!("to-{cluster}"),
            ..route::Route::new(all, RouteAction::Forward(forward))
        }
    }

    /// What `route` does, which forwards.
    pub(crate) fn compiled(route: &route::Route) -> Forward {
        let clusters = Clusters::default();
        let action = Action::compile(route, None, &Mutations::default(), &clusters);
        match action.expect("good formats") {
            Action::Forward(forward) => *forward,
            Action::Direct(_) | Action::Redirect(_) => unreachable!("a forward"),
        }
    }

    pub(crate) fn configuration(
        name: &str,
        hosts: Vec<(&str, Vec<&str>, Vec<route::Route>)>,
    ) -> RouteConfiguration {
        let hosts = hosts.into_iter().map(|(name, domains, routes)| {
            let domains = domains.into_iter().map(str::to_owned).collect();
            route::VirtualHost {
                include_request_attempt_count: true,
                ..route::VirtualHost::new(name, domains, routes)
            }
        });
        RouteConfiguration {
            ignore_port_in_host_matching: true,
            ..RouteConfiguration::new(name.into(), hosts.collect())
        }
    }

    #[test]
    fn the_first_route_of_the_best_host_is_taken() {
        let model = configuration(
            "80",
            vec![
                (
                    "a",
                    vec!["a.test"],
                    vec![forward("/x", "one"), forward("/", "two")],
                ),
                ("none", vec!["empty.test"], vec![]),
                ("rest", vec!["*"], vec![forward("/", "three")]),
            ],
        );
        let table = RouteTable::compile(&model, &Clusters::default()).expect("good formats");
        let cluster = |host: &str, path: &str| {
            let parts = parts(&format!("http://{host}{path}"));
            let found = table.find(&head(&parts))?;
            match &table.route(found).action {
                Action::Forward(f) => Some(f.target.cluster(0).name().as_str().to_owned()),
                Action::Direct(_) | Action::Redirect(_) => None,
            }
        };
        assert_eq!(cluster("a.test:80", "/xyz").as_deref(), Some("one"));
        assert_eq!(cluster("A.TEST", "/y").as_deref(), Some("two"));
        assert_eq!(cluster("b.test", "/x").as_deref(), Some("three"));
        assert_eq!(cluster("empty.test", "/x"), None, "no way back to `*`");
    }

    #[test]
    fn a_route_is_small() {
        assert!(size_of::<Route>() <= 128, "{}", size_of::<Route>());
    }

    #[test]
    fn timeouts_and_direct_responses_are_prepared() {
        let mut timed = forward("/", "c");
        let RouteAction::Forward(model) = &mut timed.action else {
            unreachable!("a forward")
        };
        model.timeout = None;
        let clusters = Clusters::default();
        let Action::Forward(compiled) =
            Action::compile(&timed, None, &Mutations::default(), &clusters).expect("good formats")
        else {
            unreachable!("a forward")
        };
        assert_eq!(compiled.timeout, Some(Duration::from_secs(15)), "Envoy's");

        let direct = RouteAction::DirectResponse(route::DirectResponse {
            body: vec![b'x'; 10],
            ..route::DirectResponse::new(502)
        });
        let all = RouteMatch::new(PathMatch::Prefix("/".into()));
        let direct = route::Route::new(all, direct);
        let direct = Action::compile(&direct, None, &Mutations::default(), &clusters);
        let Action::Direct(compiled) = direct.expect("good formats") else {
            unreachable!("direct")
        };
        assert_eq!(
            (compiled.status.as_u16(), &*compiled.body),
            (502, &b"xxxxxxxxxx"[..])
        );
    }
}
