//! Metrics of the pod, all in one: the proxy's, the agent's part of it, and the application's own.

use super::{Facts, application::Pages, reply::Reply};
use crate::{identity::Status, telemetry::exposition};
use http::HeaderMap;
use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How long Prometheus waits, in its own words.
const TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";
/// How long the application may take if nothing says so.
const PATIENCE: Duration = Duration::from_secs(10);
/// What OpenMetrics ends with, once.
const END: &[u8] = b"# EOF";
/// Content type of OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page, in the form that the application's part has; this is left out if it can't be had in time.
pub(super) async fn answer(facts: &Arc<Facts>, incoming: &HeaderMap) -> Reply {
    let pages = facts
        .application
        .metrics(patience(incoming), incoming)
        .await;
    let facts = Arc::clone(facts);
    let content_type = match pages.are_openmetrics {
        true => OPENMETRICS,
        false => exposition::CONTENT_TYPE,
    };
    Reply::writer(content_type, move |out| {
        let mut pieces = facts.shared.telemetry.exposition();
        pieces.try_for_each(|piece| out.write_all(piece.as_bytes()))?;
        out.write_all(agent(&facts).as_bytes())?;
        write(&pages, out)
    })
}

/// Writes the application's part: no empty lines, and one end at most, as OpenMetrics wants it.
fn write(pages: &Pages, out: &mut dyn Write) -> io::Result<()> {
    for text in &pages.texts {
        let text = text.trim_ascii_end();
        let text = text.strip_suffix(END).unwrap_or(text).trim_ascii_end();
        if !text.is_empty() {
            out.write_all(text)?;
            out.write_all(b"\n")?;
        }
    }
    if pages.are_openmetrics {
        out.write_all(END)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A little less than Prometheus waits, so that ours are not lost with the application's.
fn patience(incoming: &HeaderMap) -> Duration {
    let text = incoming.get(TIMEOUT).and_then(|text| text.to_str().ok());
    let seconds = text.and_then(|text| text.parse::<f64>().ok());
    let waits = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    waits.map_or(PATIENCE, |waits| waits.mul_f64(0.8).min(PATIENCE))
}

/// What Istio's agent counts of certificates: the one in force has ended where 0 seconds are left, and its renewal fails.
pub(crate) fn certificate(status: &Status) -> String {
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
    expiry.into_iter().chain(counted).collect()
}

/// The same, and what it counts of the application's page and of DNS.
fn agent(facts: &Facts) -> String {
    let certificate = certificate(&facts.identity.borrow());
    let failures = facts.application.scrape_failures();
    let name = "istio_agent_scrape_failures_total";
    let failures = format!("# TYPE {name} counter\n{name}{{type=\"application\"}} {failures}\n");
    let dns = facts.settings.captures_dns;
    let dns = dns.then(|| facts.shared.dns.counters.exposition());
    [certificate, failures].into_iter().chain(dns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_stand_one_after_the_other_with_one_end() {
        let texts = ["a 1\n# EOF\n", "\n", "# EOF", "b 2"];
        let mut pages = Pages {
            are_openmetrics: true,
            texts: texts.map(|text| text.as_bytes().into()).into(),
        };
        for (are_openmetrics, expected) in [(true, "a 1\nb 2\n# EOF\n"), (false, "a 1\nb 2\n")] {
            pages.are_openmetrics = are_openmetrics;
            let mut out = Vec::new();
            write(&pages, &mut out).expect("a Vec takes all");
            assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
        }
    }

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
