//! Which pages of other origins may ask: preflights are answered, and answers say who may read them.

use super::{Ask, Verdict};
use crate::{
    http::{exchange::Exchange, local_reply::LocalReply},
    telemetry::{Counter, Scope, Telemetry},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use mesh_model::{
    http::CorsPolicy,
    matcher::{Fraction, StringMatch, StringMatcher},
};

const PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// The filter; what it does stands at routes.
#[derive(Debug)]
pub(super) struct Cors {
    valid: Counter,
    invalid: Counter,
}

/// The policy of a route, of all levels together.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    policy: CorsPolicy,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl Cors {
    pub(super) fn new(stat_prefix: &str, telemetry: &Telemetry) -> Self {
        let counter = |name| telemetry.counter(Scope::Http(stat_prefix.into()), name);
        Self {
            valid: counter("cors.origin_valid"),
            invalid: counter("cors.origin_invalid"),
        }
    }

    pub(super) fn request<'f>(&self, ask: &Ask<'_>, origins: &Origins) -> Verdict<'f> {
        let enabled = origins.is_enabled();
        let origin = ask.parts.headers.get(header::ORIGIN);
        let Some(origin) = origin.filter(|origin| !origin.is_empty()) else {
            return Verdict::Continue;
        };
        if !ask.exchange.is_forwarded() || !enabled && !origins.is_shadowed() {
            return Verdict::Continue;
        }
        let allowed = origins.allow(origin);
        let worker = &ask.exchange.downstream.worker;
        worker
            .telemetry
            .add(if allowed { self.valid } else { self.invalid }, 1);
        if !enabled {
            return Verdict::Continue;
        }
        let asked = ask.parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let is_preflight =
            ask.parts.method == Method::OPTIONS && asked.is_some_and(|m| !m.is_empty());
        if !allowed {
            let forwarded = origins.policy.forward_not_matching_preflights;
            return match is_preflight && forwarded == Some(false) {
                true => tell(ask, HeaderMap::new()),
                false => Verdict::Continue,
            };
        }
        ask.exchange.comes_from(origin);
        match is_preflight {
            true => tell(ask, origins.preflight(origin, &ask.parts.headers)),
            false => Verdict::Continue,
        }
    }

    pub(super) fn response(&self, origins: &Origins, exchange: &Exchange, headers: &mut HeaderMap) {
        let Some(origin) = exchange.origin() else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        origins.set_credentials(headers);
        if let Some(exposed) = &origins.exposed {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }
}

impl Origins {
    pub(in crate::http) fn new(policy: CorsPolicy) -> Self {
        // Checked when it was decoded.
        let value = |text: &String| match text.is_empty() {
            true => None,
            false => HeaderValue::from_str(text).ok(),
        };
        Self {
            methods: value(&policy.allow_methods),
            headers: value(&policy.allow_headers),
            exposed: value(&policy.expose_headers),
            max_age: value(&policy.max_age),
            policy,
        }
    }

    /// What this one leaves open, `outer` says.
    pub(in crate::http) fn within(self, outer: &CorsPolicy) -> Self {
        fn own_or<T: Clone + Default + PartialEq>(own: T, outer: &T) -> T {
            if own == T::default() {
                outer.clone()
            } else {
                own
            }
        }
        let own = self.policy;
        Self::new(CorsPolicy {
            allow_origins: own_or(own.allow_origins, &outer.allow_origins),
            allow_methods: own_or(own.allow_methods, &outer.allow_methods),
            allow_headers: own_or(own.allow_headers, &outer.allow_headers),
            expose_headers: own_or(own.expose_headers, &outer.expose_headers),
            max_age: own_or(own.max_age, &outer.max_age),
            allow_credentials: own.allow_credentials.or(outer.allow_credentials),
            allow_private_network: own.allow_private_network.or(outer.allow_private_network),
            forward_not_matching_preflights: (own.forward_not_matching_preflights)
                .or(outer.forward_not_matching_preflights),
            // The most specific level alone decides whether it is on.
            enabled: own.enabled,
            shadow: own.shadow,
        })
    }

    fn is_enabled(&self) -> bool {
        self.policy.enabled.is_none_or(draws)
    }

    fn is_shadowed(&self) -> bool {
        self.policy.shadow.is_some_and(draws)
    }

    fn allow(&self, origin: &HeaderValue) -> bool {
        let mut all = self.policy.allow_origins.iter();
        all.any(|allowed| is_any(allowed) || allowed.matches(origin.as_bytes()))
    }

    fn preflight(&self, origin: &HeaderValue, asked: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        self.set_credentials(&mut headers);
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers),
            (header::ACCESS_CONTROL_MAX_AGE, &self.max_age),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        let private = asked.get(PRIVATE_NETWORK).is_some_and(|v| v == "true");
        if private && self.policy.allow_private_network == Some(true) {
            headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
        headers
    }

    fn set_credentials(&self, headers: &mut HeaderMap) {
        if self.policy.allow_credentials == Some(true) {
            let name = header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
            headers.insert(name, HeaderValue::from_static("true"));
        }
    }
}

fn tell<'f>(ask: &Ask<'_>, headers: HeaderMap) -> Verdict<'f> {
    ask.exchange.tells_preflight();
    Verdict::Reply(Box::new(LocalReply::preflight(headers)))
}

// Envoy asks each matcher whether it takes a star.
fn is_any(allowed: &StringMatcher) -> bool {
    match &allowed.pattern {
        StringMatch::Exact(text) => text == "*",
        _ => allowed.matches("*"),
    }
}

fn draws(fraction: Fraction) -> bool {
    fraction.contains(fastrand::u64(..))
}
