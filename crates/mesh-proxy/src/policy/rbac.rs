//! Role based access control: who may do what, judged by policies.
//!
//! Where a request can be read in several ways (several values of a header, a host with and without its port), the reading
//! counts that refuses it: a policy that denies matches if one reading does, one that allows only if all do; inside a
//! negation it is the other way round. Everything is matched by bytes.

mod rule; // permissions and principals, compiled

#[cfg(test)]
mod reference; // the same, said as plainly as possible
#[cfg(test)]
mod tests;

use super::{interned, metadata::DynamicMetadata};
use crate::{
    connection::Connection,
    http::matching::RequestHead,
    telemetry::{Counter, Scope, Shard, Telemetry},
};
use mesh_model::policy::rbac::{self as model, Action};
use rule::Rule;
use std::net::IpAddr;

/// What is judged.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) connection: &'a Connection,
    /// `None`: a connection, not a request.
    pub(crate) head: Option<RequestHead<'a>>,
    /// The client's address, as far as proxies on the way told it.
    pub(crate) remote: IpAddr,
    pub(crate) metadata: &'a DynamicMetadata,
}

/// Compiled rules: what is enforced, and what is only tried out.
#[derive(Debug)]
pub(crate) struct Engines {
    enforced: Option<Engine>,
    shadow: Option<Engine>,
}

/// Compiled [`Rules`](model::Rules).
#[derive(Debug)]
pub(crate) struct Engine {
    action: Action,
    policies: Box<[Policy]>,
}

#[derive(Debug)]
struct Policy {
    name: Box<str>,
    permissions: Rule,
    principals: Rule,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement<'a> {
    /// It may pass.
    pub(crate) allowed: bool,
    /// The policy that matched.
    pub(crate) policy: Option<&'a str>,
}

impl Judgement<'_> {
    /// `%RESPONSE_CODE_DETAILS%` of what may not pass.
    pub(crate) fn details(&self) -> String {
        let policy = self.policy.unwrap_or("none");
        let policy = policy.replace(char::is_whitespace, "_");
        format!("rbac_access_denied_matched_policy[{policy}]")
    }
}

impl Engine {
    fn new(model: &model::Rules) -> Self {
        // Whether it is worse to miss a match than to find one too many.
        let eager = model.action != Action::Allow;
        let policies = model.policies.iter();
        Self {
            action: model.action,
            policies: policies.map(|policy| Policy::new(policy, eager)).collect(),
        }
    }

    /// Judges.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Judgement<'_> {
        let found = self.policies.iter().find(|policy| policy.matches(facts));
        Judgement {
            allowed: match self.action {
                Action::Allow => found.is_some(),
                Action::Deny => found.is_none(),
                Action::Log => true,
            },
            policy: found.map(|policy| &*policy.name),
        }
    }

    /// Whether what its policies match is to be marked in the log.
    pub(crate) fn marks(&self) -> bool {
        self.action == Action::Log
    }
}

impl Policy {
    fn new(model: &model::Policy, eager: bool) -> Self {
        let permissions = model.permissions.iter();
        let principals = model.principals.iter();
        Self {
            name: model.name.as_str().into(),
            permissions: Rule::one(permissions.map(|p| Rule::permission(p, eager)).collect()),
            principals: Rule::one(principals.map(|p| Rule::principal(p, eager)).collect()),
        }
    }

    fn matches(&self, facts: &Facts<'_>) -> bool {
        self.permissions.matches(facts) && self.principals.matches(facts)
    }
}

impl Engines {
    pub(crate) fn new(enforced: Option<&model::Rules>, shadow: Option<&model::Rules>) -> Self {
        Self {
            enforced: enforced.map(Engine::new),
            shadow: shadow.map(Engine::new),
        }
    }

    /// Judges by what is only tried out, and counts it.
    pub(crate) fn try_out(
        &self,
        facts: &Facts<'_>,
        (counters, shard): (&Counters, &Shard),
    ) -> Option<Judgement<'_>> {
        let judgement = self.shadow.as_ref()?.judge(facts);
        let counter = match judgement.allowed {
            true => counters.shadow_allowed,
            false => counters.shadow_denied,
        };
        shard.add(counter, 1);
        Some(judgement)
    }

    /// Judges by what is enforced, and counts it.
    pub(crate) fn enforce(
        &self,
        facts: &Facts<'_>,
        (counters, shard): (&Counters, &Shard),
    ) -> Option<(&Engine, Judgement<'_>)> {
        let engine = self.enforced.as_ref()?;
        let judgement = engine.judge(facts);
        let counter = match judgement.allowed {
            true => counters.allowed,
            false => counters.denied,
        };
        shard.add(counter, 1);
        Some((engine, judgement))
    }

    /// Whether something would be refused, without counting it.
    pub(crate) fn refuses(&self, facts: &Facts<'_>) -> bool {
        let engine = self.enforced.as_ref();
        engine.is_some_and(|engine| !engine.judge(facts).allowed)
    }
}

/// Envoy's `rbac` statistics of one filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    allowed: Counter,
    denied: Counter,
    shadow_allowed: Counter,
    shadow_denied: Counter,
}

impl Counters {
    /// Those under `scope`, with what stands before the names of what is enforced and of what is tried out.
    pub(crate) fn new(telemetry: &Telemetry, scope: &Scope, prefix: &str, shadow: &str) -> Self {
        let counter = |prefix: &str, name| {
            let dot = match prefix {
                "" => "",
                prefix if prefix.ends_with('.') => "",
                _ => ".",
            };
            let name = interned(&format!("rbac.{prefix}{dot}"), name);
            telemetry.counter(scope.clone(), name)
        };
        Self {
            allowed: counter(prefix, "allowed"),
            denied: counter(prefix, "denied"),
            shadow_allowed: counter(shadow, "shadow_allowed"),
            shadow_denied: counter(shadow, "shadow_denied"),
        }
    }
}
