//! Who may ask for what: role based access control of requests.

use super::{Ask, Verdict};
use crate::{
    http::{header::FORWARDED_FOR, local_reply::LocalReply, route::Override},
    policy::rbac::{Counters, Engines, Facts},
    telemetry::{Scope, Telemetry},
};
use http::HeaderMap;
use mesh_model::policy::rbac as model;
use serde_json::Value;
use std::net::IpAddr;

/// Where what was tried out is written.
const FILTER: &str = "envoy.filters.http.rbac";
/// Where all filters write what logs go by.
const COMMON: &str = "envoy.common";

/// A compiled [`Rbac`](model::Rbac).
#[derive(Debug)]
pub(super) struct Rbac {
    engines: Engines,
    counters: Counters,
    // Keys of what was tried out: the outcome, and the policy.
    shadow_keys: [Box<str>; 2],
}

impl Rbac {
    pub(super) fn new(model: &model::Rbac, scope: &Scope, telemetry: &Telemetry) -> Self {
        let prefix = &model.shadow_stat_prefix;
        let keys = ["shadow_engine_result", "shadow_effective_policy_id"];
        Self {
            engines: Engines::new(model.rules.as_ref(), model.shadow_rules.as_ref()),
            counters: Counters::new(telemetry, scope, &model.stat_prefix, prefix),
            shadow_keys: keys.map(|key| format!("{prefix}{key}").into()),
        }
    }

    pub(super) fn request<'f>(&self, ask: &Ask<'_>, config: Option<&Override>) -> Verdict<'f> {
        let engines = match config {
            Some(Override::Rbac(engines)) => engines,
            _ => &self.engines,
        };
        match self.judge(engines, ask) {
            Ok(()) => Verdict::Continue,
            Err(details) => Verdict::Reply(Box::new(LocalReply::forbidden(details))),
        }
    }

    fn judge(&self, engines: &Engines, ask: &Ask<'_>) -> Result<(), String> {
        let exchange = ask.exchange;
        let downstream = &exchange.downstream;
        let metadata = exchange.metadata();
        let facts = Facts {
            connection: &downstream.connection,
            head: Some(ask.head()),
            remote: match downstream.manager.use_remote_address {
                true => downstream.connection.peer.ip(),
                false => told(&ask.parts.headers).unwrap_or(downstream.connection.peer.ip()),
            },
            metadata: &metadata,
        };
        let counting = (&self.counters, &downstream.worker.telemetry);
        let tried = engines.try_out(&facts, counting);
        let enforced = engines.enforce(&facts, counting);
        drop(metadata);
        if let Some(tried) = tried {
            let [outcome, policy] = &self.shadow_keys;
            let word = if tried.allowed { "allowed" } else { "denied" };
            exchange.write_metadata(FILTER, &**outcome, word.into());
            if let Some(name) = tried.policy {
                exchange.write_metadata(FILTER, &**policy, name.into());
            }
        }
        let Some((engine, judgement)) = enforced else {
            return Ok(());
        };
        if engine.marks() {
            let marked = Value::Bool(judgement.policy.is_some());
            exchange.write_metadata(COMMON, "access_log_hint", marked);
        }
        match judgement.allowed {
            true => Ok(()),
            false => Err(judgement.details()),
        }
    }
}

/// The client's address as the nearest proxy tells it: the last of `x-forwarded-for`.
fn told(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    let last = last.to_str().ok()?.rsplit(',').next()?;
    last.trim().parse().ok()
}
