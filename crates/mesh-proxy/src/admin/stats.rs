//! `/stats`: Envoy's counters and gauges, and everything that is measured in Prometheus' form.

use super::{Facts, query::Query, reply::Reply};
use crate::telemetry::{Stat, exposition};
use http::StatusCode;
use regex::Regex;
use serde_json::json;
use std::{fmt::Write, sync::Arc};

/// `/stats`.
pub(super) fn answer(facts: &Arc<Facts>, query: &Query) -> Reply {
    let filter = match query.get("filter").map(Regex::new).transpose() {
        Ok(filter) => filter,
        Err(error) => return Reply::bad_request(format!("Invalid re2 regex: {error}")),
    };
    let wanted = |stat: &Stat| {
        (stat.value != 0 || !query.has("usedonly"))
            && filter
                .as_ref()
                .is_none_or(|f| f.is_match(&stat.full_name()))
    };
    let mut stats = facts.shared.telemetry.stats();
    stats.retain(wanted);
    match query.get("format") {
        None | Some("text") => text(&stats),
        Some("json") => json(&stats),
        Some("prometheus") if filter.is_none() && !query.has("usedonly") => everything(facts),
        Some("prometheus") => envoy_exposition(stats),
        Some(other) => Reply::bad_request(format!(
            "`{other}` is no format\nhint: text, json or prometheus"
        )),
    }
}

/// `/stats/prometheus`.
pub(super) fn prometheus(facts: &Arc<Facts>, query: &Query) -> Reply {
    answer(facts, &query.with("format", "prometheus"))
}

/// Everything that is measured.
pub(super) fn everything(facts: &Arc<Facts>) -> Reply {
    let telemetry = facts.shared.telemetry.clone();
    Reply::writer(exposition::CONTENT_TYPE, move |out| {
        let mut pieces = telemetry.exposition();
        pieces.try_for_each(|piece| out.write_all(piece.as_bytes()))
    })
}

/// `/reset_counters`, which there is not.
pub(super) fn reset_counters(_: &Arc<Facts>, _: &Query) -> Reply {
    Reply::refuse(
        StatusCode::NOT_IMPLEMENTED,
        "counters only grow here, so that scrapers can rely on them\nhint: compare two readings of /stats",
    )
}

fn envoy_exposition(stats: Vec<Stat>) -> Reply {
    Reply::writer(exposition::CONTENT_TYPE, move |out| {
        out.write_all(exposition::envoy(&stats).as_bytes())
    })
}

fn text(stats: &[Stat]) -> Reply {
    let mut out = String::new();
    for stat in stats {
        let _ = writeln!(out, "{}: {}", stat.full_name(), stat.value);
    }
    Reply::text(out)
}

fn json(stats: &[Stat]) -> Reply {
    let stat = |stat: &Stat| json!({ "name": stat.full_name(), "value": stat.value });
    Reply::json(&json!({ "stats": stats.iter().map(stat).collect::<Vec<_>>() }))
}
