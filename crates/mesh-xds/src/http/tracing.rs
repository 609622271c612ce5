//! Which share of requests is traced.

use crate::{
    decode::{self, At},
    pb::envoy::{
        extensions::filters::network::http_connection_manager::v3::http_connection_manager::Tracing as Wire,
        r#type::v3::Percent,
    },
};
use mesh_model::http::Tracing;

/// Hundredths of a percent in a percent.
const HUNDREDTHS: u16 = 100;

pub(super) fn encode(tracing: Tracing) -> Wire {
    let percent = |hundredths: u16| {
        Some(Percent {
            value: f64::from(hundredths) / f64::from(HUNDREDTHS),
        })
    };
    Wire {
        client_sampling: percent(tracing.client),
        random_sampling: percent(tracing.random),
        overall_sampling: percent(tracing.overall),
        ..Default::default()
    }
}

/// A share that is not set is all.
pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<Tracing> {
    let share = |name, wire: Option<Percent>| {
        let share = at.optional(name, wire, |w, at| decode::percent(w, HUNDREDTHS, at))?;
        Some(share.unwrap_or(100 * HUNDREDTHS))
    };
    let client = share("client_sampling", wire.client_sampling.take());
    let random = share("random_sampling", wire.random_sampling.take());
    let overall = share("overall_sampling", wire.overall_sampling.take());
    at.finish(wire);
    Some(Tracing {
        client: client?,
        random: random?,
        overall: overall?,
    })
}
