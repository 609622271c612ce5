//! Metrics of the pod, all in one: the proxy's, the agent's part of it, and the application's own.

use super::{Facts, reply::Reply};
use crate::telemetry::exposition;
use http::HeaderMap;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How long Prometheus waits, in its own words.
const TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// How long the application may take if nothing says so.
const PATIENCE: Duration = Duration::from_secs(10);
/// What OpenMetrics ends with, which would hide all that follows.
const END: &[u8] = b"# EOF";

/// The page. The application's part is left out if it can't be had in time.
pub(super) async fn answer(facts: &Arc<Facts>, incoming: &HeaderMap) -> Reply {
    let own = facts.application.metrics(patience(incoming)).await;
    let facts = Arc::clone(facts);
    Reply::writer(exposition::CONTENT_TYPE, move |out| {
        let mut pieces = facts.shared.telemetry.exposition();
        pieces.try_for_each(|piece| out.write_all(piece.as_bytes()))?;
        out.write_all(agent(&facts).as_bytes())?;
        let own = own.unwrap_or_default();
        let own = own.trim_ascii_end();
        out.write_all(own.strip_suffix(END).unwrap_or(own))?;
        out.write_all(b"\n")
    })
}

/// A little less than Prometheus waits, so that ours are not lost with the application's.
fn patience(incoming: &HeaderMap) -> Duration {
    let text = incoming.get(TIMEOUT).and_then(|text| text.to_str().ok());
    let seconds = text.and_then(|text| text.parse::<f64>().ok());
    let waits = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    waits.map_or(PATIENCE, |waits| waits.mul_f64(0.8).min(PATIENCE))
}

/// What Istio's agent counts of certificates and of DNS.
fn agent(facts: &Facts) -> String {
    let status = facts.identity.borrow().clone();
    let left = |end: SystemTime| end.duration_since(SystemTime::now()).unwrap_or_default();
    let expiry = status.not_after.map(|end| {
        let name = "istio_agent_cert_expiry_seconds";
        let seconds = left(end).as_secs();
        format!("# TYPE {name} gauge\n{name}{{resource_name=\"default\"}} {seconds}\n")
    });
    let counted = [
        ("istio_agent_certificate_renewals_total", status.renewals),
        ("istio_agent_certificate_failures_total", status.failures),
    ];
    let counted = counted.map(|(name, value)| format!("# TYPE {name} counter\n{name} {value}\n"));
    let dns = facts.settings.captures_dns;
    let dns = dns.then(|| facts.shared.dns.counters.exposition());
    expiry.into_iter().chain(counted).chain(dns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_gets_a_part_of_what_prometheus_waits() {
        for (text, seconds) in [
            (Some("5"), 4.0),
            (Some("600"), 10.0),
            (Some("-1"), 10.0),
            (Some("soon"), 10.0),
            (None, 10.0),
        ] {
            let value = text.map(|text| {
                (
                    TIMEOUT.parse().expect("a name"),
                    text.parse().expect("a value"),
                )
            });
            let headers = HeaderMap::from_iter(value);
            assert_eq!(
                patience(&headers),
                Duration::from_secs_f64(seconds),
                "{text:?}"
            );
        }
    }
}
