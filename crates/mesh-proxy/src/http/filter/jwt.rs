//! Tokens that say who asks: which a request needs, where they stand, and what becomes of them.
//!
//! What this filter writes (headers, metadata) comes from verified tokens only: headers of the same names that a client sends
//! are taken off first. Of several tokens of a provider all have to be good, or the application might read another one
//! than was judged here.

mod effect; //   what a good token leaves behind
mod location; // where tokens stand
mod provider; // a provider, compiled
mod remote; //   keys that are fetched
mod requirement; // whether tokens are what a request needs

use super::{Ask, Verdict};
use crate::{
    http::{
        local_reply::LocalReply,
        route::{Matches, Override},
    },
    policy::jwt::Token,
    telemetry::{Counter, Scope, Telemetry},
    worker::{Shared, Worker},
};
use effect::Effects;
use futures_util::FutureExt;
use http::{HeaderMap, Method, header, uri::PathAndQuery};
use location::Found;
use mesh_model::policy::jwt::{self as model, JwtOverride, Needs, Requirement};
use provider::Provider;
use std::time::{SystemTime, UNIX_EPOCH};

/// A compiled [`JwtAuthn`](model::JwtAuthn).
#[derive(Debug)]
pub(super) struct JwtAuth {
    providers: Box<[Provider]>,
    rules: Box<[(Matches, Needs)]>,
    requirements: Box<[(String, Requirement)]>,
    bypass_cors_preflight: bool,
    strip_failure_response: bool,
    // No key has to be fetched: nothing ever waits.
    is_local: bool,
    counters: Counters,
}

/// Envoy's `jwt_authn` statistics.
#[derive(Clone, Copy, Debug)]
struct Counters {
    allowed: Counter,
    denied: Counter,
    preflight: Counter,
    fetched: Counter,
    fetch_failed: Counter,
}

impl Counters {
    fn new(telemetry: &Telemetry, scope: &Scope) -> Self {
        let counter = |name| telemetry.counter(scope.clone(), name);
        Self {
            allowed: counter("jwt_authn.allowed"),
            denied: counter("jwt_authn.denied"),
            preflight: counter("jwt_authn.cors_preflight_bypassed"),
            fetched: counter("jwt_authn.jwks_fetch_success"),
            fetch_failed: counter("jwt_authn.jwks_fetch_failed"),
        }
    }
}

/// What a request is judged by.
#[derive(Clone, Copy)]
struct Judged<'a> {
    headers: &'a HeaderMap,
    path: &'a PathAndQuery,
    worker: &'a Worker,
    now: u64,
}

/// Good tokens: each with its provider, by number.
type Good = Vec<(usize, Found)>;

impl JwtAuth {
    pub(super) fn new(model: &model::JwtAuthn, scope: &Scope, shared: &Shared) -> Self {
        let providers = model.providers.iter();
        let counters = Counters::new(&shared.telemetry, scope);
        let providers = providers.map(|p| Provider::new(p, counters, &shared.clusters));
        let rules = model.rules.iter();
        let providers: Box<[_]> = providers.collect();
        Self {
            is_local: providers.iter().all(Provider::is_local),
            providers,
            rules: rules
                .map(|rule| (Matches::new(&rule.matches), rule.needs.clone()))
                .collect(),
            requirements: model.requirements.clone().into(),
            bypass_cors_preflight: model.bypass_cors_preflight,
            strip_failure_response: model.strip_failure_response,
            counters,
        }
    }

    pub(super) fn request<'f, 'a: 'f>(
        &'a self,
        ask: &'f mut Ask<'a>,
        config: Option<&'a Override>,
    ) -> Verdict<'f> {
        if self.bypass_cors_preflight && is_preflight(ask) {
            self.count(ask, self.counters.preflight);
            return Verdict::Continue;
        }
        for provider in &self.providers {
            provider.sanitize(&mut ask.parts.headers);
        }
        let needs = match self.needs(ask, config) {
            Ok(Some(needs)) => needs,
            Ok(None) => {
                self.count(ask, self.counters.allowed);
                return Verdict::Continue;
            }
            Err(name) => {
                self.count(ask, self.counters.denied);
                return Verdict::Reply(Box::new(LocalReply::unknown_requirement(name)));
            }
        };
        let deciding = self.decide(needs, ask);
        if !self.is_local {
            return Verdict::Wait(Box::pin(deciding));
        }
        match deciding.now_or_never() {
            Some(Ok(())) => Verdict::Continue,
            Some(Err(reply)) => Verdict::Reply(Box::new(reply)),
            // It does not wait; should it ever, the request goes no further.
            None => Verdict::Reply(Box::new(LocalReply::unknown_requirement(""))),
        }
    }

    fn count(&self, ask: &Ask<'_>, counter: Counter) {
        ask.exchange.downstream.worker.telemetry.add(counter, 1);
    }

    /// What the request needs; `None`: nothing.
    ///
    /// # Errors
    /// The name of a requirement that there is not.
    fn needs<'s>(
        &'s self,
        ask: &Ask<'_>,
        config: Option<&'s Override>,
    ) -> Result<Option<&'s Requirement>, &'s str> {
        let named = |name: &'s str| {
            let found = self.requirements.iter().find(|(known, _)| known == name);
            found.map(|(_, needs)| Some(needs)).ok_or(name)
        };
        match config {
            Some(Override::Jwt(JwtOverride::Off)) => return Ok(None),
            Some(Override::Jwt(JwtOverride::Named(name))) => return named(name),
            _ => {}
        }
        let head = ask.head();
        let rule = self
            .rules
            .iter()
            .find(|(matches, _)| matches.matches(&head));
        match rule.map(|(_, needs)| needs) {
            None | Some(Needs::Nothing) => Ok(None),
            Some(Needs::This(needs)) => Ok(Some(needs)),
            Some(Needs::Named(name)) => named(name),
        }
    }

    async fn decide(&self, needs: &Requirement, ask: &mut Ask<'_>) -> Result<(), LocalReply> {
        let exchange = ask.exchange;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let judged = Judged {
            headers: &ask.parts.headers,
            path: &ask.canonical.path,
            worker: &exchange.downstream.worker,
            now: since.unwrap_or_default().as_secs(),
        };
        let mut good = Good::new();
        match self.check(needs, None, judged, &mut good).await {
            Ok(()) => {
                self.count(ask, self.counters.allowed);
                let effects = Effects::of(ask);
                self.leave_behind(good, effects);
                Ok(())
            }
            Err(status) => {
                self.count(ask, self.counters.denied);
                let uri = original_uri(ask);
                let reply = LocalReply::bad_token(status, &uri, !self.strip_failure_response);
                Err(reply)
            }
        }
    }

    fn leave_behind(&self, good: Good, mut effects: Effects<'_>) {
        for (number, found) in good {
            // It was read before.
            if let Ok(token) = Token::read(&found.token) {
                self.providers[number].leave_behind(&token, &found, &mut effects);
            }
        }
        effects.settle();
    }
}

fn is_preflight(ask: &Ask<'_>) -> bool {
    let has = |name| ask.parts.headers.get(name).is_some_and(|v| !v.is_empty());
    ask.parts.method == Method::OPTIONS
        && has(header::ORIGIN)
        && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Most of a path that is told.
const MOST_PATH: usize = 256;

fn original_uri(ask: &Ask<'_>) -> String {
    let scheme = ask.parts.headers.get(crate::http::header::FORWARDED_PROTO);
    let scheme = scheme.and_then(|s| s.to_str().ok()).unwrap_or("http");
    let path = ask.canonical.path.as_str();
    let path = path.get(..MOST_PATH).unwrap_or(path);
    format!("{scheme}://{}{path}", ask.canonical.host())
}
