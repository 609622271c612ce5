//! `/ready`, and the orders that end things.

use super::{Facts, query::Query, readiness::State, reply::Reply};
use http::StatusCode;
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// `/ready`: Envoy's word for the state, and 200 if the proxy serves.
pub(super) fn ready(facts: &Arc<Facts>, _: &Query) -> Reply {
    match facts.state() {
        State::Live => Reply::text("LIVE\n"),
        state => Reply::refuse(StatusCode::SERVICE_UNAVAILABLE, state.as_str()),
    }
}

/// `/healthcheck/fail`.
pub(super) fn fail(facts: &Arc<Facts>, _: &Query) -> Reply {
    facts.failing.store(true, Relaxed);
    Reply::ok()
}

/// `/healthcheck/ok`.
pub(super) fn heal(facts: &Arc<Facts>, _: &Query) -> Reply {
    facts.failing.store(false, Relaxed);
    Reply::ok()
}

/// `/drain_listeners`. Always graceful: a connection ends after its request, and new ones are still taken.
pub(super) fn drain_listeners(facts: &Arc<Facts>, query: &Query) -> Reply {
    facts.drain(query.has("inboundonly"));
    Reply::ok()
}

/// `/quitquitquit`.
pub(super) fn quit(facts: &Arc<Facts>, _: &Query) -> Reply {
    facts.quit();
    Reply::ok()
}
